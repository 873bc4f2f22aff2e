"""`Parquet` and `Feather`: tables in the files of Apache Arrow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from modelforge.train.data.column_source import ColumnSource
from modelforge.train.data.files import extra, opened
from modelforge.train.data.parquet import checked_batches, read_parquet
from modelforge.train.data.refusals import refusal
from modelforge.train.data.registry import register_data

if TYPE_CHECKING:
    import pyarrow as pa


@register_data("parquet")
class Parquet(ColumnSource):
    """Columns by their names in a Parquet file, or in a folder of such files."""

    reads_folder: ClassVar = None

    def table(self, path: Path, key: str = "path") -> pa.Table:
        """The table of a file or a folder."""
        return read_parquet(path, key, self.max_bytes, self.store)


@register_data("feather")
class Feather(ColumnSource):
    """Columns by their names in a Feather file, which is Arrow's IPC format, or in a stream of it."""

    def table(self, path: Path, key: str = "path") -> pa.Table:
        """The table; its size is checked while it unpacks."""
        pa, ipc = extra("pyarrow", "a Feather file"), extra("pyarrow.ipc", "a Feather file")
        store = self.store
        store.check_size(path.stat().st_size, self.max_bytes, f"`{path}`")
        with opened(path, key) as stream:
            is_file = stream.read(6) == b"ARROW1"
            stream.seek(0)
            try:
                reader = ipc.open_file(stream) if is_file else ipc.open_stream(stream)
                read = (reader.get_batch(index) for index in range(reader.num_record_batches)) if is_file else reader
                return store.table(reader.schema, checked_batches(read, path, self.max_bytes, store))
            except (pa.ArrowException, ValueError, OSError) as error:
                raise refusal(
                    key, f"`{path}` cannot be read as Feather: {error}", "write it by `pyarrow.feather`"
                ) from None
