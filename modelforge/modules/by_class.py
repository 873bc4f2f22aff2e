"""by_class: a table keyed by module classes, or by their full names → its entry for a module.

A class that modelforge must not import is named in full, as `transformers.pytorch_utils.Conv1D`. Of the classes that
a module derives from, the nearest counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TypeVar

from torch import nn

ModuleClass = type[nn.Module] | str
"""A class of modules, or its full name."""
Entry = TypeVar("Entry")


def by_class(table: Mapping[ModuleClass, Entry], module: nn.Module) -> Entry | None:
    """The entry of the nearest class in the table, or None."""
    _load()
    for cls in type(module).__mro__:
        for key in (cls, f"{cls.__module__}.{cls.__qualname__}"):
            if key in table:
                return table[key]
    return None


@cache
def _load() -> None:
    """What modelforge itself says of other libraries' classes."""
    import_module("modelforge.modules.transformers")
