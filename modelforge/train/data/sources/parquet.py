"""`Parquet` and `Feather`: tables in the files of Apache Arrow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelforge.train.data.column_source import ColumnSource
from modelforge.train.data.files import check_size, extra, opened
from modelforge.train.data.refusals import refusal
from modelforge.train.data.registry import register_data

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ROWS = 10_000
"""Rows that are unpacked at once."""


@register_data("parquet")
class Parquet(ColumnSource):
    """Columns by their names in a Parquet file."""

    def table(self, path: Path, key: str = "path") -> pa.Table:
        """The table; its size is checked while it unpacks: a long text that is stored once can be in all rows."""
        pa, parquet = extra("pyarrow", "a Parquet file"), extra("pyarrow.parquet", "a Parquet file")
        with opened(path, key) as stream:
            try:
                file = parquet.ParquetFile(stream)
                facts = file.metadata
                # a few bytes can stand for any number of equal values
                unpacked = [facts.row_group(index).total_byte_size for index in range(facts.num_row_groups)]
                size = max(sum(unpacked), facts.num_rows * facts.num_columns * 8)
                check_size(size, self.max_bytes, f"`{path}`")
                batches, size = list[Any](), 0
                for batch in file.iter_batches(batch_size=MAX_ROWS):
                    size += sum(_num_bytes(pa, column) for column in batch.columns)
                    check_size(size, self.max_bytes, f"unpacked, the first rows of `{path}`")
                    batches.append(batch)
                return pa.Table.from_batches(batches, file.schema_arrow)
            except (pa.ArrowException, ValueError, OSError) as error:
                raise refusal(key, f"`{path}` cannot be read as Parquet: {error}") from None


@register_data("feather")
class Feather(ColumnSource):
    """Columns by their names in a Feather file, which is Arrow's IPC format, or in a stream of it."""

    def table(self, path: Path, key: str = "path") -> pa.Table:
        """The table; its size is checked while it unpacks."""
        pa, ipc = extra("pyarrow", "a Feather file"), extra("pyarrow.ipc", "a Feather file")
        check_size(path.stat().st_size, self.max_bytes, f"`{path}`")
        with opened(path, key) as stream:
            is_file = stream.read(6) == b"ARROW1"
            stream.seek(0)
            try:
                reader = ipc.open_file(stream) if is_file else ipc.open_stream(stream)
                read = (reader.get_batch(index) for index in range(reader.num_record_batches)) if is_file else reader
                batches, size = list[Any](), 0
                for batch in read:
                    size += batch.nbytes
                    check_size(size, self.max_bytes, f"unpacked, the first rows of `{path}`")
                    batches.append(batch)
                return pa.Table.from_batches(batches, reader.schema)
            except (pa.ArrowException, ValueError, OSError) as error:
                raise refusal(
                    key, f"`{path}` cannot be read as Feather: {error}", "write it by `pyarrow.feather`"
                ) from None


def _num_bytes(pa: Any, column: Any) -> int:
    """The memory of a column; of a dictionary only its places, since batches share it."""
    return column.indices.nbytes if pa.types.is_dictionary(column.type) else column.nbytes
