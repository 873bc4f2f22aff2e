"""`ClassTable`: from a module to what is said of its class, or of the nearest class that it derives from.

A class that modelforge must not import is named in full, as `transformers.pytorch_utils.Conv1D`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from torch import nn

ModuleClass = type[nn.Module] | str
"""A class of modules, or its full name."""
Entry = TypeVar("Entry")


class ClassTable(Generic[Entry]):
    """Module classes → entries.

    Example:
        >>> sizes = ClassTable[int]()
        >>> sizes.add(3, nn.Module, "torch.nn.modules.linear.Linear")
        >>> sizes.of(nn.Linear(1, 1)), sizes.of(nn.ReLU())
        (3, 3)
    """

    tables: ClassVar[list[ClassTable[Any]]] = []
    """All of them."""

    def __init__(self) -> None:
        self._entries: dict[ModuleClass, Entry] = {}
        self.tables.append(self)

    def add(self, entry: Entry, *classes: ModuleClass) -> None:
        """Says the same of each of these classes; what was said before is replaced."""
        self._entries.update(dict.fromkeys(classes, entry))

    def of(self, module: nn.Module) -> Entry | None:
        """The entry of the nearest class in the table, or None."""
        for cls in type(module).__mro__:
            for key in (cls, f"{cls.__module__}.{cls.__qualname__}"):
                if key in self._entries:
                    return self._entries[key]
        return None

    def forget(self, cls: ModuleClass) -> None:
        """Forgets what was said of the class itself."""
        self._entries.pop(cls, None)


def forget_class(cls: ModuleClass) -> None:
    """Forgets all that was registered for a class of modules: layout, followers, branches, reader."""
    for table in ClassTable.tables:
        table.forget(cls)
