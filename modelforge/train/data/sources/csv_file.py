"""`Csv`: a table as text, one row a line, with a header."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from modelforge.train.data.columns import Columns, ColumnSource
from modelforge.train.data.files import existing, read_utf8
from modelforge.train.data.parts import Examples
from modelforge.train.data.refusals import refusal, setting
from modelforge.train.data.registry import register_data
from modelforge.train.data.source import mistake

QUOTED = re.compile(r'"(?:[^"]|"")*+"')
OTHER_DELIMITERS = ",;\t|"
NOT_DELIMITERS = '"\r\n\0'

Delimiter = Annotated[
    str, Field(min_length=1, max_length=1), BeforeValidator(lambda raw: "\t" if raw == "\\t" else raw)
]


@register_data("csv")
class Csv(ColumnSource):
    """The first line names the columns."""

    delimiter: Delimiter = ","
    """The character between two values; `\\t` is a tab."""

    @model_validator(mode="after")
    def _check_delimiter(self) -> Csv:
        if self.delimiter in NOT_DELIMITERS:
            hint = "quotes and line ends have their own use"
            raise mistake("delimiter", f"`delimiter` cannot be {self.delimiter!r}", hint)
        return self

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        columns = self.columns()
        header = next(iter(columns))
        other = next((sign for sign in OTHER_DELIMITERS if sign in header), None)
        if len(columns) > 1 or other is None or self.target_kind == "input":
            return self._read(columns)
        message = f"the header of `{self.path}` is one column, and holds {other!r}: is that its `delimiter`?"
        lines = [setting("delimiter", other), *self.model_copy(update={"delimiter": other}).all_settings()]
        raise refusal("delimiter", message, f"write `{' '.join(lines)}`")

    def columns(self) -> Columns:
        """Every column by name, as text."""
        path = existing(self.path)
        (text,) = read_utf8([path], "path", self.max_bytes)
        if (place := text.find("\0")) >= 0:
            message = f"`{path}` has a NUL byte in line {_line(text, place)}: it is no text"
            raise refusal("path", message, "UTF-16 has such bytes: convert it to UTF-8")
        lines = ((line, row) for line, row in self._records(text) if row)  # blank lines are none
        _, header = next(lines, (0, []))
        names = [name.strip() for name in header]
        if twice := [name for name, number in Counter(names).items() if number > 1]:
            raise refusal("path", f"`{path}` has several columns `{twice[0]}`", "give each a name of its own")
        rows = list[list[str]]()
        for line, row in lines:
            if len(row) != len(names):
                message = f"line {line} of `{path}` has {len(row)} values, but the header names {len(names)}"
                raise refusal("path", message, "see whether `data.delimiter` is the right one")
            rows.append(row)
        if not rows:
            raise refusal("path", f"`{path}` has no rows below its header")
        return dict(zip(names, zip(*rows, strict=True), strict=True))

    def _records(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """The rows, each with the number of its last line.

        Strict, so that what stands between quotes cannot swallow rows: pandas and pyarrow take a file whose first
        quote is closed by one in a later row.
        """
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, strict=True)
        before = csv.field_size_limit(2**31 - 1)  # the bound is max_bytes; of the whole process, so put back
        read = 0
        try:
            for row in lines:
                read = lines.line_num
                yield read, row
        except csv.Error as error:
            message = f"line {lines.line_num} of `{self.path}` cannot be read: {error}"
            if "unexpected end" in str(error):
                line = _unclosed(text, read, self.delimiter)
                message = f"a quote opens in line {line} of `{self.path}` and is never closed"
            hint = "close it; a quote inside quotes is written twice"
            raise refusal("path", message, hint) from None
        finally:
            csv.field_size_limit(before)


def _unclosed(text: str, line: int, delimiter: str) -> int:
    """The line where the quote opens that never closes; the row behind so many lines has it."""
    place = sum(map(len, io.StringIO(text, newline="").readlines()[:line]))
    while (field := QUOTED.match(text, place)) or not text.startswith('"', place):
        place = text.index(delimiter, field.end() if field else place) + 1
    return _line(text, place)


def _line(text: str, place: int) -> int:
    return len(io.StringIO(text[: place + 1], newline="").readlines())
