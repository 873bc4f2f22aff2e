"""Tables as text, one row a line, with a header: read by pyarrow, after what it would take in silence was refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelforge.train.data.csv_lines import BLOCK, Dialect, Header, check_text, header, ragged
from modelforge.train.data.files import extra, opened, shown
from modelforge.train.data.refusals import refusal
from modelforge.train.data.store import MEMORY, Memory

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Numeric:
    """The columns that hold numbers, if all of their values do."""

    names: Callable[[Sequence[str]], Sequence[str]]
    """Which of some columns those are."""
    missing: Sequence[str]
    decimal: str


def read_separated(
    path: Path, key: str, dialect: Dialect, max_bytes: int, numeric: Numeric | None = None, store: Memory = MEMORY
) -> pa.Table:
    """The table of a file: columns of numbers as float64, others as texts, exactly as they are written.

    Args:
        path: The file.
        key: The field of the section that names it.
        dialect: How it is written.
        max_bytes: The most bytes of it.
        numeric: The columns of numbers; None reads every value as a text.
        store: Where the table is to be.

    Raises:
        ForgeError: it cannot be read, or has no rows.
    """
    pa = extra("pyarrow", "a CSV file")
    store.check_size(path.stat().st_size, max_bytes, f"`{path}`")
    check_text(path, key, dialect)
    top = header(path, key, dialect)
    if not top.names:
        raise refusal(key, f"`{path}` is empty", "its first line must name the columns")
    texts = {name: pa.string() for name in top.names}
    floats = dict.fromkeys(numeric.names(top.names), pa.float64()) if numeric else {}
    try:
        table = _read(path, key, dialect, top, texts | floats, store, numeric)
        if not all(_is_finite(table[name]) for name in floats):
            table = _read(path, key, dialect, top, texts, store)
    except pa.ArrowInvalid:  # something is not a number, or a row is too short: read it as it is written
        try:
            table = _read(path, key, dialect, top, texts, store)
        except pa.ArrowInvalid as error:
            ragged(path, key, dialect, top.names)
            raise refusal(key, f"`{path}` cannot be read: {error}") from None
    if not len(table):
        raise refusal(key, f"`{path}` has no rows below its header")
    return table


def _read(
    path: Path,
    key: str,
    dialect: Dialect,
    top: Header,
    types: Mapping[str, Any],
    store: Memory,
    numeric: Numeric | None = None,
) -> pa.Table:
    """The file by pyarrow, with a bar of its progress where it is large."""
    csv = extra("pyarrow.csv", "a CSV file")
    # without a byte order mark, which stands before the header; pyarrow need not decode UTF-8 then
    reading = csv.ReadOptions(
        column_names=top.names,
        skip_rows=top.num_lines,
        encoding=dialect.encoding.removesuffix("-sig"),
        block_size=BLOCK,
        # A thread that still reads ahead when an error ends the process would abort it.
        use_threads=path.stat().st_size > BLOCK,
    )
    parsing = csv.ParseOptions(
        delimiter=dialect.delimiter, quote_char=dialect.quote or False, newlines_in_values=dialect.newlines_in_values
    )
    missing = numeric.missing if numeric else ()
    cases = {case for text in missing for case in (text, text.lower(), text.upper(), text.title())}
    converting = csv.ConvertOptions(
        column_types=types,
        null_values=[*cases],
        decimal_point=numeric.decimal if numeric else ".",
        strings_can_be_null=False,
        check_utf8=False,  # `check_text` has
    )
    while True:
        try:
            with opened(path, key) as file, shown(file, path) as stream:
                if not store.reads_in_batches:
                    return csv.read_csv(stream, reading, parsing, converting)  # on all cores
                batches = csv.open_csv(stream, reading, parsing, converting)
                return store.table(batches.schema, batches)
        except extra("pyarrow", "a CSV file").ArrowInvalid as error:
            whole = min(2 * path.stat().st_size, 2**31 - 1)
            if "straddling" not in str(error) or reading.block_size >= whole:
                raise
            reading.block_size = whole  # a row is longer than a block


def _is_finite(column: pa.ChunkedArray) -> bool:
    compute = extra("pyarrow.compute", "a CSV file")
    return compute.all(compute.is_finite(column)).as_py() is not False
