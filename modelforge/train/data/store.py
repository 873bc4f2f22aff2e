"""`Memory` and `Disk`: where the columns of a table lie between reading and training."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import numpy as np

from modelforge.train.data.files import check_bound, check_size, existing, extra
from modelforge.train.data.parts import Array
from modelforge.train.data.refusals import refusal

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 10_000
"""Rows that are put together at once."""


class Memory:
    """Holds all columns in memory."""

    reads_in_batches: ClassVar = False
    """Whether a file must be read a few rows at a time."""

    def check_size(self, size: int, max_bytes: int, named: str) -> None:
        """Checks the size of what is about to be read.

        Raises:
            ForgeError: it exceeds the bound, or the free memory.
        """
        check_size(size, max_bytes, named, hint="choose fewer rows or columns, or a folder: `data.on_disk=/var/tmp`")

    def table(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
        """The table of some batches."""
        return extra("pyarrow", "a table").Table.from_batches(batches, schema)

    def put(self, column: Any) -> Any:
        """A column of NumPy or Arrow."""
        return column

    def side_by_side(self, blocks: Sequence[Array]) -> Array:
        """The columns of several arrays as one array."""
        return np.concatenate(blocks, axis=1)


MEMORY = Memory()


@dataclass(frozen=True)
class Disk(Memory):
    """Holds all columns in temporary files, which are mapped into memory: the system loads the parts in use.

    The files have no name, so that none is left when the process ends, even where it is killed.
    """

    reads_in_batches: ClassVar = True

    folder: Path

    def check_size(self, size: int, max_bytes: int, named: str) -> None:
        check_bound(size, max_bytes, named)

    def table(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
        pa = extra("pyarrow", "a table")

        def write(file: BinaryIO) -> None:
            with self._writing():
                stream = pa.ipc.new_stream(file, schema)
            for batch in batches:
                with self._writing():
                    stream.write_batch(batch)
            with self._writing():
                stream.close()

        with pa.ipc.open_stream(pa.py_buffer(self._mapped(write))) as stream:
            return stream.read_all()

    def put(self, column: Any) -> Any:
        if isinstance(column, np.ndarray):
            return self._array([column], column.dtype, column.shape)
        pa = extra("pyarrow", "a table")
        if isinstance(column, pa.ChunkedArray) and not pa.types.is_floating(column.type):
            table = pa.table({"": column})
            return self.table(table.schema, table.to_batches())[0]
        return column  # numbers as they lie in the table

    def side_by_side(self, blocks: Sequence[Array]) -> Array:
        rows, columns = len(blocks[0]), sum(block.shape[1] for block in blocks)
        pieces = (np.concatenate([block[row : row + ROWS] for block in blocks], 1) for row in range(0, rows, ROWS))
        return self._array(pieces, blocks[0].dtype, (rows, columns))

    def _array(self, pieces: Iterable[Array], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        """The array of pieces that follow each other."""

        def write(file: BinaryIO) -> None:
            for piece in pieces:
                with self._writing():
                    file.write(np.ascontiguousarray(piece).data)

        return np.frombuffer(self._mapped(write), dtype).reshape(shape) if np.prod(shape) else np.empty(shape, dtype)

    def _mapped(self, write: Callable[[BinaryIO], None]) -> mmap.mmap:
        """The content of a temporary file, for reading."""
        with self._writing():
            file = TemporaryFile(dir=self.folder)  # noqa: SIM115  # closed below
        with file:
            write(file)
            with self._writing():
                file.flush()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Turns an error of the system into a problem of `on_disk`."""
        try:
            yield
        except OSError as error:
            reason = error.strerror.lower() if error.strerror else str(error)
            message = f"the table cannot be kept in `{self.folder}`: {reason}"
            raise refusal(
                "on_disk", message, "name a folder that you may write to, on a disk with more space"
            ) from None


def store_in(folder: str | None) -> Memory:
    """The store of a folder; that of memory for None.

    Raises:
        ForgeError: there is no such folder.
    """
    return MEMORY if folder is None else Disk(existing(folder, folder=True, key="on_disk"))
