"""`HuggingFace`: a folder that `datasets` wrote with `save_to_disk`. Nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from modelforge.core.suggestions import did_you_mean
from modelforge.train.data.column_source import ColumnSource
from modelforge.train.data.files import extra
from modelforge.train.data.parquet import MAX_ROWS
from modelforge.train.data.refusals import refusal
from modelforge.train.data.registry import register_data

if TYPE_CHECKING:
    import pyarrow as pa


@register_data("hf")
class HuggingFace(ColumnSource):
    """Columns by their names; a folder with several splits is used as `split`, `val_split` and `test_split` say."""

    reads_folder: ClassVar = True
    part_keys: ClassVar = {"val_fraction": ("val_split", "val_path"), "test_fraction": ("test_split", "test_path")}

    split: str = "train"
    """The split to read, where the folder holds several."""
    val_split: str | None = None
    """The split of the validation part; null to take it from `split`."""
    test_split: str | None = None
    """The split of the test part; null to take it from `split`."""

    def tables(self) -> list[tuple[str, pa.Table, int]]:
        """The table of each part; see `ColumnSource.tables`."""
        found = super().tables()
        path = self.found()["path"]
        for part, key in ((1, "val_split"), (2, "test_split")):
            if (name := getattr(self, key)) is not None:
                found.append((f"`{name}` of `{self.path}`", self._split(path, key, name), part))
        return found

    def table(self, path: Path, key: str = "path") -> pa.Table:
        """The table of a folder, or of its split."""
        return self._split(path, "split", self.split, key)

    def _split(self, path: Path, key: str, name: str, path_key: str = "path") -> pa.Table:
        datasets = extra("datasets", "a folder of Hugging Face's datasets", "data")
        try:
            found = datasets.load_from_disk(str(path))
        except Exception as error:  # JSON and Arrow files of any kind lie there, or none
            message = f"`{path}` is not a folder that `save_to_disk` wrote: {error}"
            raise refusal(path_key, message, "write it with `dataset.save_to_disk(...)`") from None
        if isinstance(found, datasets.DatasetDict):
            if name not in found:
                raise refusal(key, f"`{path}` has no split `{name}`", did_you_mean(name, found))
            found = found[name]
        store = self.store
        store.check_size(found.data.nbytes, self.max_bytes, f"`{path}`")
        found = found.with_format("arrow")
        if not store.reads_in_batches:
            return found[:]
        tables = found.iter(MAX_ROWS)
        return store.table(found.data.schema, (batch for table in tables for batch in table.to_batches()))
