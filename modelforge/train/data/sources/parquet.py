"""`Parquet`: a table as a Parquet file, read by pyarrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from modelforge.train.data.columns import Columns, ColumnSource
from modelforge.train.data.files import check_size, existing, extra, opened
from modelforge.train.data.refusals import refusal
from modelforge.train.data.registry import register_data

MAX_ROWS = 10_000
"""Rows that are unpacked at once."""


@register_data("parquet")
class Parquet(ColumnSource):
    """Columns by their names in the file."""

    def columns(self) -> Columns:
        """Every column by name."""
        path = existing(self.path)
        pyarrow, parquet = extra("pyarrow", "a Parquet file"), extra("pyarrow.parquet", "a Parquet file")
        with opened(path, "path") as stream:
            try:
                file = parquet.ParquetFile(stream)
                facts = file.metadata
                # a few bytes can stand for any number of equal values
                unpacked = [facts.row_group(index).total_byte_size for index in range(facts.num_row_groups)]
                size = max(sum(unpacked), facts.num_rows * facts.num_columns * 8)
                check_size(size, self.max_bytes, f"`{path}`")
                names = file.schema_arrow.names
                if twice := [name for name, number in Counter(names).items() if number > 1]:
                    message = f"`{path}` has several columns `{twice[0]}`"
                    raise refusal("path", message, "give each a name of its own")
                return self._read_batches(file, names, pyarrow)
            except (pyarrow.ArrowException, ValueError, OSError) as error:
                raise refusal("path", f"`{path}` cannot be read as Parquet: {error}") from None

    def _read_batches(self, file: Any, names: Sequence[str], pyarrow: Any) -> Columns:
        """The columns; their size is checked while they unpack: a long text that is stored once can be in all rows."""
        columns: dict[str, list[Any]] = {name: [] for name in names}
        size = 0
        for batch in file.iter_batches(batch_size=MAX_ROWS):
            for name, array in zip(names, batch.columns, strict=True):
                if pyarrow.types.is_dictionary(array.type):
                    words = array.dictionary.to_pylist()
                    columns[name] += [None if index is None else words[index] for index in array.indices.to_pylist()]
                    size += array.indices.nbytes
                else:
                    size += array.nbytes
                    check_size(size, self.max_bytes, f"unpacked, the first rows of `{self.path}`")
                    columns[name] += array.to_pylist()
        return columns
