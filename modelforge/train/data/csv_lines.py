"""Lines of a CSV file: what its header names, and quotes and lengths of rows that pyarrow would take in silence."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from modelforge.core.errors import ForgeError
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.train.data.files import opened
from modelforge.train.data.refusals import refusal

BLOCK = 1 << 21
"""Bytes that are looked at together."""
MAX_SHOWN = 3
"""Rows of a wrong length that are named."""
CLOSE = "close it; a quote inside quotes is written twice"
BEYOND_ASCII = re.compile(r"\w*[^\x00-\x7f]\w*")
SINGLE_BYTES = "cp1252"
"""The encoding that is proposed where a file is not UTF-8: that of most tables that spreadsheets wrote."""
SEE_DELIMITER = "see whether `data.delimiter` is the right one"


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written."""

    delimiter: str
    quote: str | None
    encoding: str
    newlines_in_values: bool

    def records(self, lines: Iterator[str] | io.TextIOBase) -> Any:
        """The records of some lines by Python's own reader, in its strict mode."""
        if self.quote is None:
            return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE, strict=True)
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote, strict=True)


@dataclass(frozen=True)
class Header:
    """The names of the columns, and how many lines they and the blank ones before them take."""

    names: tuple[str, ...]
    num_lines: int


def header(path: Path, key: str, dialect: Dialect) -> Header:
    """What the first line that is not blank names.

    Raises:
        ForgeError: it names a column twice, or cannot be read.
    """
    with opened(path, key) as file, io.TextIOWrapper(file, dialect.encoding, newline="") as lines:
        records = dialect.records(iter(lines.readline, ""))
        try:
            names = next((record for record in records if record), [])
        except (UnicodeDecodeError, csv.Error):
            check_text(path, key, dialect)
            raise
        names = tuple(name.strip() for name in names)
        if twice := [name for name, number in Counter(names).items() if number > 1]:
            raise refusal(key, f"`{path}` has several columns `{twice[0]}`", "give each a name of its own")
        return Header(names, records.line_num)


def check_text(path: Path, key: str, dialect: Dialect) -> None:
    """Reads a file once, a block at a time.

    Without quotes, pyarrow and Python's `csv` agree on every row. Where a quote is never closed, or closed by one in a
    later row, pyarrow takes all that lies between as one value: so every line with a quote is checked on its own, or,
    where values may hold line ends, the whole file.

    Raises:
        ForgeError: bytes are not in the encoding, or are NUL; or a quote opens and does not close, or closes and is
            followed by something else.
    """
    well = _well_quoted(dialect)
    with opened(path, key) as file:
        before = 0
        for text in _blocks(file, path, key, dialect.encoding):
            if (place := text.find("\0")) >= 0:
                hint = "UTF-16 has such bytes: write `data.encoding=utf-16`"
                line = _line_at(path, key, dialect, before + place)
                raise refusal(key, f"`{path}` has a NUL byte in line {line}: it is not text", hint)
            if dialect.quote and dialect.quote in text:
                if dialect.newlines_in_values:
                    return _check_records(path, key, dialect)
                for match in _lines_with(dialect.quote).finditer(text):
                    if not well.fullmatch(match[0]) and (error := _wrong(match[0], dialect)):
                        line = _line_at(path, key, dialect, before + match.start())
                        raise _quote_refusal(path, key, line, error)
            before += len(text)
    return None


def ragged(path: Path, key: str, dialect: Dialect, names: tuple[str, ...]) -> None:
    """Refuses the rows that have another number of values than the header names: the first few, then their number.

    Raises:
        ForgeError: there are some.
    """
    with opened(path, key) as file, io.TextIOWrapper(file, dialect.encoding, newline="") as lines:
        records = dialect.records(iter(lines.readline, ""))
        wrong = [(records.line_num, len(record)) for record in records if record and len(record) != len(names)]
    if wrong:
        shown = listed((f"line {line} has {plural(number, 'value')}" for line, number in wrong), MAX_SHOWN)
        raise refusal(key, f"the header of `{path}` names {plural(len(names), 'column')}, but {shown}", SEE_DELIMITER)


def _blocks(file: BinaryIO, path: Path, key: str, encoding: str) -> Iterator[str]:
    """The text of a file in blocks that end with a line."""
    decoder = codecs.getincrementaldecoder(encoding)()
    rest, read = "", 0
    while True:
        raw = file.read(BLOCK)
        try:
            text = rest + decoder.decode(raw, not raw)
        except UnicodeDecodeError as error:
            at = read - len(error.object) + len(raw) + error.start
            named = encoding.upper().removesuffix("-SIG")
            message = f"`{path}` is not {named}: byte {at} is 0x{error.object[error.start]:02x}"
            wide = not read and raw.startswith((b"\xff\xfe", b"\xfe\xff"))
            hint = "it begins as UTF-16 does: write `data.encoding=utf-16`" if wide else _other_encoding(error)
            raise refusal(key, message, hint) from None
        read += len(raw)
        end = len(text) if not raw else max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1
        if end:
            yield text[:end]
        rest = text[end:]
        if not raw:
            return


def utf8_word(path: Path, key: str) -> str:
    """The first word beyond ASCII of a file that is UTF-8 as a whole; empty for another file."""
    decoder, found = codecs.getincrementaldecoder("utf-8")(), ""
    with opened(path, key) as file:
        while raw := file.read(BLOCK):
            try:
                text = decoder.decode(raw)
            except UnicodeDecodeError:
                return ""
            if not found and not text.isascii() and (match := BEYOND_ASCII.search(text)):
                found = match[0]
    return found


def _lines_with(sign: str) -> re.Pattern[str]:
    return re.compile(rf"[^\r\n{re.escape(sign)}]*+{re.escape(sign)}[^\r\n]*+")


def _other_encoding(error: UnicodeDecodeError) -> str:
    """The hint for bytes that are not in the encoding of a file: how they read in another one."""
    around = error.object[max(error.start - 40, 0) : error.start + 40]
    try:
        text = around.decode(SINGLE_BYTES)
    except UnicodeDecodeError:
        return "name its `data.encoding`, such as latin-1"
    place = error.start - max(error.start - 40, 0)
    word = next(match[0] for match in BEYOND_ASCII.finditer(text) if match.end() > place)
    return f"for {word!r}: `data.encoding={SINGLE_BYTES}`"


def _well_quoted(dialect: Dialect) -> re.Pattern[str]:
    """Lines of fields that are quoted whole, or hold no quote."""
    quote, delimiter = re.escape(dialect.quote or '"'), re.escape(dialect.delimiter)
    field = rf"(?:{quote}(?:[^{quote}]|{quote}{quote})*+{quote}|[^{quote}{delimiter}]*+)"
    return re.compile(rf"{field}(?:{delimiter}{field})*+")


def _wrong(line: str, dialect: Dialect) -> str:
    """What is wrong with a line on its own; a quote inside a value that is not quoted is well."""
    try:
        next(dialect.records(iter([line])))
    except csv.Error as error:
        return str(error)
    return ""


def _quote_refusal(path: Path, key: str, line: int, error: str) -> ForgeError:
    if "unexpected end" not in error:
        return refusal(key, f"line {line} of `{path}` cannot be read: {error}", CLOSE)
    hint = f"{CLOSE}; for values of several lines: `data.newlines_in_values=true`"
    return refusal(key, f"a quote opens in line {line} of `{path}` and does not close in it", hint)


def _check_records(path: Path, key: str, dialect: Dialect) -> None:
    """Refuses a file whose records, some of several lines, Python's strict reader refuses."""
    limit = csv.field_size_limit(2**31 - 1)  # the bound is max_bytes; of the whole process, so put back
    last = 0
    try:
        with opened(path, key) as file, io.TextIOWrapper(file, dialect.encoding, newline="") as lines:
            records = dialect.records(iter(lines.readline, ""))
            for _ in records:
                last = records.line_num
    except csv.Error as error:
        message = f"line {last + 1} of `{path}` begins a row that cannot be read: {error}"
        if "unexpected end" in str(error):
            message = f"a quote opens in the row of line {last + 1} of `{path}` and is never closed"
        raise refusal(key, message, CLOSE) from None
    finally:
        csv.field_size_limit(limit)


def _line_at(path: Path, key: str, dialect: Dialect, place: int) -> int:
    """The line of a character of a file, counted from 1; lines end with LF, CR, or both."""
    with opened(path, key) as file, io.TextIOWrapper(file, dialect.encoding, newline="") as text:
        before = text.read(place)
        return before.count("\n") + before.count("\r") - before.count("\r\n") + 1
