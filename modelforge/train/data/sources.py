"""Every source by its name, the `type` of a `data` section."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic_core import InitErrorDetails, ValidationError

from modelforge.core.complaints import wrong
from modelforge.core.errors import did_you_mean, quoted, shortened
from modelforge.train.data.breast_cancer import BreastCancer
from modelforge.train.data.csv_file import Csv
from modelforge.train.data.digits import Digits
from modelforge.train.data.generated import Adding, Copy, Reverse
from modelforge.train.data.hugging_face import HuggingFace
from modelforge.train.data.images import ImageFolder
from modelforge.train.data.npz import Npz
from modelforge.train.data.parquet import Parquet
from modelforge.train.data.source import Source, mistake
from modelforge.train.data.text import TextFiles

SOURCES: Mapping[str, type[Source]] = MappingProxyType(
    {
        "adding": Adding,
        "breast_cancer": BreastCancer,
        "copy": Copy,
        "csv": Csv,
        "digits": Digits,
        "hf": HuggingFace,
        "image_folder": ImageFolder,
        "npz": Npz,
        "parquet": Parquet,
        "reverse": Reverse,
        "text": TextFiles,
    }
)


def parse_source(section: Any) -> Source:
    """The source that a `data` section declares; pydantic calls this.

    Example:
        >>> parse_source({"type": "npz", "task": "regression", "input": {"shape": [3]}, "num_outputs": 2}).features
        'x'
    """
    if not isinstance(section, Mapping):
        raise wrong("MF051", f"must be a mapping, but is {quoted(section)}")
    if "type" not in section:
        missing = InitErrorDetails(type="missing", loc=("type",), input=section)
        raise ValidationError.from_exception_data("data", [missing])
    name = section["type"]
    if not isinstance(name, str):
        raise mistake(
            "type",
            f"`type` must be the name of a source, but is {'null' if name is None else quoted(name)}",
            did_you_mean("", SOURCES),
        )
    if name not in SOURCES:
        raise mistake("type", f"unknown data `{shortened(name)}`", did_you_mean(name, SOURCES))
    return SOURCES[name].model_validate(dict(section))
