"""`Parquet`: a table as a Parquet file, read by pyarrow."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from modelforge.train.data.columns import Columns, ColumnSource
from modelforge.train.data.extras import extra
from modelforge.train.data.files import check_size, existing, opened
from modelforge.train.data.refusals import refusal


class Parquet(ColumnSource):
    """Columns by their names in the file."""

    type: Literal["parquet"]

    def columns(self) -> Columns:
        """Every column by name."""
        path = existing(self.path)
        pyarrow, parquet = extra("pyarrow", "a Parquet file"), extra("pyarrow.parquet", "a Parquet file")
        try:
            with opened(path, "path") as stream, parquet.ParquetFile(stream) as file:
                facts = file.metadata
                # a few bytes can stand for any number of equal values
                unpacked = [facts.row_group(index).total_byte_size for index in range(facts.num_row_groups)]
                size = max(sum(unpacked), facts.num_rows * facts.num_columns * 8)
                check_size(size, self.max_bytes, f"`{path}`")
                names = file.schema_arrow.names
                if twice := [name for name, number in Counter(names).items() if number > 1]:
                    message = f"`{path}` has several columns `{twice[0]}`"
                    raise refusal("path", message, "give each a name of its own")
                return file.read().to_pydict()
        except (pyarrow.ArrowException, ValueError) as error:
            raise refusal("path", f"`{path}` cannot be read as Parquet: {error}") from None
