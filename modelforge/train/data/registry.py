"""The registry of data sources: from the `type` of a `data` section to its class. One file in `sources/` adds one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import InitErrorDetails, ValidationError

from modelforge.core.complaints import wrong
from modelforge.core.quoting import quoted, shortened
from modelforge.core.registry import Declared, Registry
from modelforge.train.data.source import Source, mistake

SOURCES = Registry[type[Source]](
    "a data source",
    "modelforge.data",
    package="modelforge.train.data.sources",
    decorator="mf.register_data",
    base=Source,
)
"""Every data source by its name."""


def register_data(name: str) -> Callable[[Declared], Declared]:
    """Makes a class known as `data.type=name`: its fields are the `data` section, its `read` gives the examples.

    Raises:
        TypeError: the class is not a finished source, or has no docstring.
        ValueError: another class has the name.
    """
    return SOURCES.register(name)


def parse_source(section: Any) -> Source:
    """The source that a `data` section declares; Pydantic calls this.

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
        given = "null" if name is None else quoted(name)
        raise mistake("type", f"`type` must be the name of a source, but is {given}", SOURCES.suggest(""))
    if name not in SOURCES:
        raise mistake("type", f"unknown data `{shortened(name)}`", SOURCES.suggest(name))
    return SOURCES.get(name).model_validate(dict(section))
