"""`Parquet`: a table as a Parquet file, read by pyarrow."""

from __future__ import annotations

from typing import Literal

from modelforge.train.data.columns import Columns, ColumnSource
from modelforge.train.data.extras import extra
from modelforge.train.data.files import existing
from modelforge.train.data.refusals import refusal


class Parquet(ColumnSource):
    """Columns by their names in the file."""

    type: Literal["parquet"]

    def columns(self) -> Columns:
        """Every column by name."""
        path = existing(self.path)
        pyarrow, parquet = extra("pyarrow", "a Parquet file"), extra("pyarrow.parquet", "a Parquet file")
        try:
            return parquet.read_table(path).to_pydict()
        except pyarrow.ArrowInvalid as error:
            raise refusal("path", f"`{path}` cannot be read as Parquet: {error}") from None
