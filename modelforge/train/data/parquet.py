"""Tables of Parquet: one file, or a folder of them, partitioned by the names of its folders or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelforge.train.data.files import extra, opened
from modelforge.train.data.refusals import refusal
from modelforge.train.data.store import MEMORY, Memory

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ROWS = 10_000
"""Rows that are unpacked at once."""


def read_parquet(path: Path, key: str, max_bytes: int, store: Memory = MEMORY) -> pa.Table:
    """The table; its size is checked while it unpacks: a long text that is stored once can be in all rows.

    Args:
        path: A file; or a folder with files of the same columns, in the order of their names. Folders in it that are
            called `column=value` give a column.
        key: The field of the section that names it.
        max_bytes: The most bytes of the table, unpacked.
        store: Where the table is to be.

    Raises:
        ForgeError: it cannot be read, or files of the folder have different columns.
    """
    pa = extra("pyarrow", "a Parquet file")
    try:
        return (_folder if path.is_dir() else _file)(path, key, max_bytes, store)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise refusal(key, f"`{path}` cannot be read as Parquet: {error}") from None


def _file(path: Path, key: str, max_bytes: int, store: Memory) -> pa.Table:
    parquet = extra("pyarrow.parquet", "a Parquet file")
    with opened(path, key) as stream:
        file = parquet.ParquetFile(stream, pre_buffer=False)  # else it reads all of the file ahead
        facts = file.metadata
        # a few bytes can stand for any number of equal values
        unpacked = [facts.row_group(index).total_byte_size for index in range(facts.num_row_groups)]
        store.check_size(max(sum(unpacked), facts.num_rows * facts.num_columns * 8), max_bytes, f"`{path}`")
        batches = checked_batches(file.iter_batches(batch_size=MAX_ROWS), path, max_bytes, store)
        return store.table(file.schema_arrow, batches)


def _folder(path: Path, key: str, max_bytes: int, store: Memory) -> pa.Table:
    dataset = extra("pyarrow.dataset", "a folder of Parquet files")
    found = dataset.dataset(str(path), format="parquet", partitioning="hive")
    files = [(fragment.path, set(fragment.physical_schema.names)) for fragment in found.get_fragments()]
    if not files:
        raise refusal(key, f"no Parquet file lies in `{path}`")
    first, names = files[0]
    for other, columns in files:
        if odd := sorted(names ^ columns):
            one, two = (first, other) if odd[0] in names else (other, first)
            raise refusal(
                key, f"`{one}` has a column `{odd[0]}`, and `{two}` has none", "write all with the same columns"
            )
    store.check_size(found.count_rows() * len(found.schema) * 8, max_bytes, f"`{path}`")
    read_ahead = {"batch_readahead": 1, "fragment_readahead": 1} if store.reads_in_batches else {}
    scan = dataset.ParquetFragmentScanOptions(pre_buffer=False)
    batches = found.to_batches(batch_size=MAX_ROWS, fragment_scan_options=scan, **read_ahead)
    return store.table(found.schema, checked_batches(batches, path, max_bytes, store))


def checked_batches(batches: Iterable[Any], path: Path, max_bytes: int, store: Memory) -> Iterator[Any]:
    """The batches of a table, whose size is checked while they unpack.

    Raises:
        ForgeError: they exceed the bound, or what the store holds.
    """
    pa, size = extra("pyarrow", "a table"), 0
    for batch in batches:
        size += sum(_num_bytes(pa, column) for column in batch.columns)
        store.check_size(size, max_bytes, f"unpacked, the first rows of `{path}`")
        yield batch


def _num_bytes(pa: Any, column: Any) -> int:
    """The memory of a column; of a dictionary only its places, since batches share it."""
    return column.indices.nbytes if pa.types.is_dictionary(column.type) else column.nbytes
