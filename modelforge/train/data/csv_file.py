"""`Csv`: a table as text, one row a line, with a header."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Literal

from pydantic import Field

from modelforge.train.data.columns import Columns, ColumnSource
from modelforge.train.data.files import existing, read_utf8
from modelforge.train.data.refusals import refusal


class Csv(ColumnSource):
    """The first line names the columns."""

    type: Literal["csv"]
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """What stands between two values."""

    def columns(self) -> Columns:
        """Every column by name, as text."""
        path = existing(self.path)
        lines = csv.reader(io.StringIO(read_utf8(path, "path"), newline=""), delimiter=self.delimiter)
        header = next(lines, [])
        names = [name.strip() for name in header]
        if twice := [name for name in names if names.count(name) > 1]:
            raise refusal("path", f"`{path}` has several columns `{twice[0]}`", "give each a name of its own")
        rows = []
        for row in lines:
            if len(row) == len(names):
                rows.append(row)
            elif row:
                message = f"line {lines.line_num} of `{path}` has {len(row)} values, but the header names {len(names)}"
                raise refusal("path", message, "see whether `data.delimiter` is the right one")
        if not rows:
            raise refusal("path", f"`{path}` has no rows below its header")
        return dict(zip(names, zip(*rows, strict=True), strict=True))
