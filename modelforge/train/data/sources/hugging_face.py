"""`HuggingFace`: a folder that `datasets` wrote with `save_to_disk`. Nothing is fetched."""

from __future__ import annotations

from typing import ClassVar

from modelforge.core.suggestions import did_you_mean
from modelforge.train.data.columns import Columns, ColumnSource
from modelforge.train.data.files import check_size, existing, extra
from modelforge.train.data.refusals import refusal
from modelforge.train.data.registry import register_source


@register_source("hf")
class HuggingFace(ColumnSource):
    """Columns by their names; of a folder with several splits, one is read and split into three parts."""

    reads_folder: ClassVar = True

    split: str = "train"
    """The split to read, where the folder holds several."""

    def columns(self) -> Columns:
        """Every column by name."""
        path = existing(self.path, folder=True)
        datasets = extra("datasets", "a folder of Hugging Face's datasets")
        try:
            found = datasets.load_from_disk(str(path))
        except Exception as error:  # JSON and Arrow files of any kind lie there, or none
            message = f"`{path}` is not a folder that `save_to_disk` wrote: {error}"
            raise refusal("path", message, "write it with `dataset.save_to_disk(...)`") from None
        if isinstance(found, datasets.DatasetDict):
            if self.split not in found:
                raise refusal("split", f"`{path}` has no split `{self.split}`", did_you_mean(self.split, found))
            found = found[self.split]
        check_size(found.data.nbytes, self.max_bytes, f"`{path}`")
        return {name: found[name][:] for name in found.column_names}
