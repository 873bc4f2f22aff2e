"""Columns of pyarrow as numbers, texts and instants, each with the rows that hold something else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from modelforge.core.quoting import quoted, sentence
from modelforge.train.data.columns import ISO
from modelforge.train.data.parts import Array, Rows
from modelforge.train.data.refusals import refusal

pc: Any = pyarrow.compute
"""Arrow's functions; it makes most of them when it is imported, unknown to type checkers."""
BOOLEANS = {"true": 1.0, "false": 0.0}
BLANKS = " \t\n\v\f\r"
"""What may lie around a number."""
DAY = 86_400.0
"""Seconds."""
NO_ROWS = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Values:
    """A column in one form, and the rows that do not have it."""

    held: Any
    """NumPy's numbers, or days since 1970 for instants, with NaN for no value; Arrow's texts or numbers, with null."""
    missing: Rows = field(default_factory=lambda: NO_ROWS)
    wrong: Rows = field(default_factory=lambda: NO_ROWS)

    @property
    def values(self) -> Any:
        """Numbers as NumPy's, texts as Arrow's. Numbers of Arrow are copied now, so that not all are held twice."""
        return as_numpy(self.held) if isinstance(self.held, pa.ChunkedArray) and _is_float(self.held) else self.held


def as_numpy(column: pa.ChunkedArray | pa.Array, nothing: float = math.nan) -> Array:
    """The numbers or truth values of a column; `nothing` stands for null.

    Like `list_of` and `rows_of`, it does what a method of pyarrow does that imports pandas, where that is installed.
    """
    if pa.types.is_boolean(column.type):
        return as_numpy(pc.cast(column, pa.uint8()), 0).astype(bool)
    if column.null_count:
        column = pc.fill_null(column, pa.scalar(nothing, column.type))
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    arrays = [np.from_dlpack(chunk) for chunk in chunks if len(chunk)]
    return np.concatenate(arrays) if arrays else np.zeros(0, column.type.to_pandas_dtype())


def list_of(texts: Iterable[str]) -> pa.Array:
    """An Arrow array of texts."""
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def rows_of(rows: Array) -> pa.Array:
    """An Arrow array of whole numbers, on the same memory."""
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows, np.int64))])


def as_table(raw: Any) -> pa.Table:
    """New data as an Arrow table: one already, a data frame, a mapping of columns, or a list of rows by name.

    Raises:
        ForgeError: it is none of these, or its columns differ in length.
    """
    if isinstance(raw, pa.Table):
        return raw
    if hasattr(raw, "__arrow_c_stream__"):  # pandas, polars and others
        try:
            return pa.table(raw)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            message = f"a table cannot be made of the {type(raw).__name__}: {sentence(error)}"
            raise refusal("path", message, "each column must have a name of its own and values of one kind") from None
    if isinstance(raw, Sequence) and not isinstance(raw, str) and all(isinstance(row, Mapping) for row in raw):
        names = dict.fromkeys(name for row in raw for name in row)
        raw = {name: [row.get(name) for row in raw] for name in names}
    if not isinstance(raw, Mapping):
        message = f"a table cannot be made of a value of type {type(raw).__name__}"
        raise refusal("path", message, "give a pyarrow table, a data frame, a mapping of columns, or a list of rows")
    columns = {str(name): _array(values, name) for name, values in raw.items()}
    if len(lengths := {name: len(column) for name, column in columns.items()}) and len({*lengths.values()}) > 1:
        shown = ", ".join(f"`{name}` {length:,}" for name, length in list(lengths.items())[:5])
        raise refusal("path", f"the columns differ in length: {shown}")
    return pa.table(columns)


def columns_of(table: pa.Table, named: str) -> dict[str, pa.ChunkedArray]:
    """The columns of a table by name; a dictionary of values is unpacked where it is used.

    Raises:
        ForgeError: several have one name.
    """
    names = table.column_names
    columns = {name: _plain_text(column) for name, column in zip(names, table.columns, strict=True)}
    if len(columns) < len(names):
        twice = next(name for name, number in Counter(names).items() if number > 1)
        hint = "give each a name of its own" + (
            "; if that is a row: write the names above it" if _number_in(names) else ""
        )
        raise refusal("path", f"{named} has several columns `{twice}`", hint)
    return columns


def _number_in(names: Iterable[str]) -> bool:
    """Whether a name is a number, as in a file without a header."""
    return any(math.isfinite(_number(name)) for name in names)


def _plain_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as it is; of texts in the form that polars gives, for which Arrow has few functions, as plain ones."""
    return pc.cast(column, pa.string()) if pa.types.is_string_view(column.type) else column


def is_text(column: pa.ChunkedArray) -> bool:
    """Whether a column holds texts, if anything."""
    kind = column.type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def present(column: pa.ChunkedArray, missing: Iterable[str]) -> pa.ChunkedArray:
    """A column with null for every missing value, else as it is; a dictionary of values is unpacked."""
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    if is_text(column):
        bare = pc.utf8_lower(pc.utf8_trim_whitespace(column))
        nothing = pc.is_in(bare, value_set=list_of(text.strip().lower() for text in missing).cast(bare.type))
        return pc.if_else(nothing, pa.scalar(None, column.type), column) if pc.any(nothing).as_py() else column
    if pa.types.is_floating(column.type):
        nothing = pc.is_nan(column)
        return pc.if_else(nothing, pa.scalar(None, column.type), column) if pc.any(nothing).as_py() else column
    return column


def numbers(column: pa.ChunkedArray, missing: Iterable[str], decimal: str = ".") -> Values:
    """Finite numbers as float64; texts are numbers as other tools read them, or true and false as 1 and 0.

    Example:
        >>> numbers(pa.chunked_array([["1", " 2.5", "NA"]]), ["na"]).values
        array([1. , 2.5, nan])
        >>> numbers(pa.chunked_array([["1", "1_000", "x"]]), ["na"]).wrong
        array([1, 2])
    """
    if _is_float(column):
        values = as_numpy(column)
        return Values(column, np.flatnonzero(np.isnan(values)), np.flatnonzero(np.isinf(values)))
    column = present(column, missing)
    kind = column.type
    if pa.types.is_null(kind):
        values = np.full(len(column), np.nan)
    elif pa.types.is_boolean(kind):
        values = _floats(pc.cast(column, pa.uint8()))
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        values = _floats(column)
    elif is_text(column):
        values = _numbers_of_text(column, decimal)
    else:
        values = np.full(len(column), np.inf)  # no number
    return _checked(column, values)


def texts(column: pa.ChunkedArray, missing: Iterable[str]) -> Values:
    """Texts as they are written; numbers and truth values as texts."""
    column = present(column, missing)
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return Values(column, _rows(pc.is_null(column)), _rows(pc.is_valid(column)))
    return Values(pc.cast(column, pa.string()), _rows(pc.is_null(column)))


def instants(column: pa.ChunkedArray, missing: Iterable[str], form: str = ISO) -> Values:
    """Days since 1970 of dates and times; those with a time zone in UTC."""
    column = present(column, missing)
    kind = column.type
    if pa.types.is_null(kind):
        values = np.full(len(column), np.nan)
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        micros = pc.cast(pc.cast(column, pa.timestamp("us"), safe=False), pa.int64())
        values = _floats(micros) / (DAY * 1e6)
    elif is_text(column):
        values = _by_value(column, lambda text: _days(text, form))
    else:
        values = np.full(len(column), np.inf)
    return _checked(column, values)


def as_times(days: Array) -> pa.Array:
    """Days since 1970 as Arrow's timestamps, for its functions of the calendar."""
    return rows_of(np.round(days * (DAY * 1e6)).astype(np.int64)).cast(pa.timestamp("us"))


def places(column: pa.ChunkedArray | pa.Array, names: Sequence[str]) -> Rows:
    """The place of each text among names; -1 for another, and for none."""
    found = pc.index_in(column, value_set=list_of(names))
    return as_numpy(found, -1).astype(np.int64)


def _checked(column: pa.ChunkedArray, values: Array) -> Values:
    """The numbers of a column, with NaN where one is infinite: such a row holds no number."""
    if np.isfinite(values).all():
        return Values(values)
    nothing = as_numpy(pc.is_null(column))
    wrong = ~np.isfinite(values) & ~nothing
    values = np.where(nothing | wrong, np.nan, values)
    return Values(values, np.flatnonzero(nothing), np.flatnonzero(wrong))


def _numbers_of_text(column: pa.ChunkedArray, decimal: str) -> Array:
    """Numbers, NaN where there is no text, infinity where a text is not a number."""
    with suppress(pa.ArrowInvalid):
        if decimal == ".":
            return _floats(pc.ascii_trim_whitespace(column))
        if not pc.any(pc.match_substring(column, ".")).as_py():
            return _floats(pc.replace_substring(pc.ascii_trim_whitespace(column), decimal, "."))
    values = [text.strip(BLANKS).lower() for text in pc.unique(column).to_pylist() if text is not None]
    if all(text in BOOLEANS for text in values):
        return _by_value(column, lambda text: BOOLEANS[text.strip(BLANKS).lower()])
    return _by_value(column, _number if decimal == "." else _comma_number)


def _number(text: str) -> float:
    """The number that a text is; infinity for none, as for `1_000`, and digits and blanks of other scripts."""
    bare = text.strip(BLANKS)
    try:
        number = float(bare) if bare.isascii() and bare.isprintable() and "_" not in bare else math.inf
    except ValueError:
        return math.inf
    return number if math.isfinite(number) else math.inf


def _comma_number(text: str) -> float:
    return math.inf if "." in text else _number(text.replace(",", "."))


def _days(text: str, form: str) -> float:
    """Days since 1970; infinity for what is not a date of the format."""
    try:
        found = datetime.fromisoformat(text.strip()) if form == ISO else datetime.strptime(text.strip(), form)
    except ValueError:
        return math.inf
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() / DAY


def _by_value(column: pa.ChunkedArray, number_of: Callable[[str], float]) -> Array:
    """What a function makes of each text; it is called once for each different one."""
    encoded = pc.dictionary_encode(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    known = np.array([*map(number_of, encoded.dictionary.to_pylist()), np.nan])
    return known[as_numpy(encoded.indices, len(known) - 1)]


def _floats(column: pa.ChunkedArray) -> Array:
    return as_numpy(pc.cast(column, pa.float64(), safe=False))


def _is_float(column: pa.ChunkedArray) -> bool:
    return pa.types.is_float64(column.type)


def _rows(mask: Any) -> Rows:
    return np.flatnonzero(as_numpy(mask))


def _array(values: Any, name: str) -> pa.Array:
    """A column of Python's values; of several types, or of numbers that no type holds, as texts."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise refusal("path", f"column `{name}` must be a list of values, but is {quoted(values)}", "`[value]` for one")
    if not hasattr(values, "__array__") or hasattr(values, "detach"):  # a tensor's numbers come by themselves
        values = [one.item() if hasattr(one, "detach") and one.ndim == 0 else one for one in values]
    try:
        try:
            return pa.array(values, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            return pa.array([None if value is None else str(value) for value in values])
    except UnicodeEncodeError as error:
        raise refusal("path", f"column `{name}` has a text that is not Unicode: {sentence(error)}") from None
