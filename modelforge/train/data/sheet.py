"""`Sheet`: the rows of one file or several as one table, and what a split of them depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.train.data.arrow import NO_ROWS, Values, as_numpy, columns_of, is_text, numbers, pc, present, texts
from modelforge.train.data.columns import ISO, Columns
from modelforge.train.data.features import Feature, problems
from modelforge.train.data.findings import Findings
from modelforge.train.data.parts import Array, Rows
from modelforge.train.data.refusals import fault, refusal, setting
from modelforge.train.data.split import PART_OF, PARTS

MAX_SHOWN = 3
"""Rows, files or values of several that are named."""


@dataclass(frozen=True)
class Sheet:
    """The rows of one file or several, one after the other."""

    columns: Mapping[str, pa.ChunkedArray]
    files: tuple[tuple[str, int, int], ...]
    """The name of each file, how many rows it has, and its part as a place in `PARTS`."""

    @classmethod
    def of(cls, tables: Sequence[tuple[str, pa.Table, int]], decimal: str = ".") -> Sheet:
        """One sheet of tables with the same columns, in any order.

        Args:
            tables: Each with its name and its part.
            decimal: The sign before the fraction of a number that is a text.

        Raises:
            ForgeError: their columns differ, or one table has several of a name.
        """
        (first, table, _), *others = tables
        columns = columns_of(table, first)
        files = tuple((name, len(table), part) for name, table, part in tables)
        if not others:
            return cls(columns, files)
        for name, other, _ in others:
            known = columns_of(other, name)
            if lacking := [one for one in columns if one not in known]:
                raise refusal("path", f"{name} has no column `{lacking[0]}`, but {first} has one")
        joined = {name: _joined([table[name] for _, table, _ in tables], name, decimal) for name in columns}
        return cls(joined, files)

    def __len__(self) -> int:
        return sum(number for _, number, _ in self.files)

    @property
    def named(self) -> str:
        """The data, in words."""
        return listed((name for name, _, _ in self.files), 3)

    def place(self, row: int) -> str:
        """A row in words, counted from 1 in its file."""
        ends = np.cumsum([number for _, number, _ in self.files])
        file = int(np.searchsorted(ends, row, "right"))
        name, number, _ = self.files[file]
        return f"row {row - ends[file] + number + 1}" + (f" of {name}" if len(self.files) > 1 else "")

    def own_rows(self, parts: Sequence[Rows]) -> dict[str, Rows]:
        """The rows of each part, counted from 0 in the file of the part, where it has one."""
        starts = dict[int, int]()
        start = 0
        for _, number, part in self.files:
            starts[part] = start
            start += number
        return {name: rows - starts.get(part, 0) for part, (name, rows) in enumerate(zip(PARTS, parts, strict=True))}

    def rows(self, rows: Rows) -> str:
        """Rows in words, of many the first: `row 3`, or `177 rows (row 6, row 18, row 20 and 174 more)`."""
        if len(rows) == 1:
            return self.place(int(rows[0]))
        first = [self.place(int(row)) for row in rows[:MAX_SHOWN]]
        more = f" and {len(rows) - MAX_SHOWN:,} more" if len(rows) > MAX_SHOWN else ""
        return f"{len(rows):,} rows ({', '.join(first)}{more})"


def _joined(columns: Sequence[pa.ChunkedArray], name: str, decimal: str) -> pa.ChunkedArray:
    """The columns of several files one after the other; as texts, if they are that in one."""
    columns = [present(column, ()) for column in columns]
    kinds = {column.type for column in columns}
    try:
        if len(kinds) > 1:
            kind = pa.string() if any(map(is_text, columns)) else pa.float64()
            columns = [
                pc.cast(column, kind)
                if kind != pa.string() or is_text(column)
                else pc.replace_substring(pc.cast(column, kind), ".", decimal)
                for column in columns
            ]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        shown = " and ".join(sorted(map(str, kinds)))
        raise refusal("path", f"column `{name}` is {shown} in files that belong together") from None
    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], columns[0].type)


def splitting(source: Columns, sheet: Sheet, findings: Findings) -> tuple[dict[str, Array], Rows]:
    """What the split depends on besides the classes: the arguments of `split`; and the rows to leave out."""
    given = np.repeat([part for _, _, part in sheet.files], [number for _, number, _ in sheet.files])
    arguments, dropped = {"given": given}, [NO_ROWS]
    if source.split_column:
        column = sheet.columns[source.split_column]
        names = {text: PART_OF.get(str(text).strip().lower(), -1) for text in pc.unique(column).to_pylist()}
        arguments["given"] = np.array([names[text] for text in column.to_pylist()])
        if unknown := [text for text, part in names.items() if part < 0]:
            shown = f"{listed(map(repr, unknown), 3)} in {sheet.rows(np.flatnonzero(arguments['given'] < 0))}"
            message = f"column `{source.split_column}` must hold train, val or test, but has {shown}"
            findings.add(fault("split_column", message, "name a part in every row"))
    if source.group:
        column = sheet.columns[source.group]
        values = texts(column, source.missing)
        for problem in problems(Feature(source.group, "category"), values, column, "group", sheet.place):
            findings.add(problem)
        dropped.append(_without(source, "group", source.group, values, sheet, findings))
        if not len(values.wrong):
            encoded = pc.dictionary_encode(values.values.combine_chunks())
            groups = arguments["groups"] = as_numpy(encoded.indices, -1).astype(np.int64)
            _apart(groups, given, lambda group: encoded.dictionary[group].as_py(), sheet, findings)
    if source.time:
        column = sheet.columns[source.time]
        values = numbers(column, source.missing, source.decimal_sign)
        feature = Feature(source.time, "date", format=source.dates.get(source.time, ISO))
        if len(values.wrong):
            values = feature.read(column, source.missing, source.decimal_sign)
        for problem in problems(feature, values, column, "time", sheet.place):
            findings.add(problem)
        dropped.append(_without(source, "time", source.time, values, sheet, findings))
        arguments["times"] = values.values
    return arguments, np.unique(np.concatenate(dropped))


def _apart(groups: Rows, given: Rows, named: Callable[[int], str], sheet: Sheet, findings: Findings) -> None:
    """Adds the problem of groups with rows in the files of several parts; -1 is no group."""
    held = np.unique(groups * len(PARTS) + given) // len(PARTS)
    several = np.unique(held[1:][(held[1:] == held[:-1]) & (held[1:] >= 0)])
    if not len(several):
        return
    rows = np.flatnonzero(groups == several[0])
    other = rows[given[rows] != given[rows[0]]][0]
    places = f"{sheet.place(int(rows[0]))} and {sheet.place(int(other))}"
    message = (
        f"{plural(len(several), 'group')} {'has' if len(several) == 1 else 'have'} rows in the files of several parts"
    )
    hint = "write the rows of each into one file, or split by rows: `data.group=null`"
    findings.add(fault("group", f"{message}: {named(int(several[0]))!r} in {places}", hint))


def _without(source: Columns, key: str, name: str, values: Values, sheet: Sheet, findings: Findings) -> Rows:
    """The rows without a value, which are left out, or are a problem."""
    if len(values.missing) and source.fill(name) != "drop":
        hint = f"fill it in, or leave such rows out: `{setting('impute', {name: 'drop'})}`"
        findings.add(fault(key, f"column `{name}` has no value in {sheet.rows(values.missing)}", hint))
    return values.missing
