"""put_off_extras: what torchmetrics imports for metrics of speech and text waits until such a metric is used.

`import lightning` imports torchmetrics, which imports scipy.signal to add one name to it, and transformers for
BERTScore: longer than all else of Lightning.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

from modelforge.core.dynamo import Later, asker, put_off


def put_off_extras() -> None:
    """From now on these packages, where they are installed, are imported at their first use; and torch's compiler."""
    put_off()
    scipy = _stand_in(_Scipy)
    if scipy is not None and "scipy.signal" not in sys.modules:
        signal = _Signal("scipy.signal")
        scipy.signal = sys.modules["scipy.signal"] = signal  # pyright: ignore[reportAttributeAccessIssue]  # a package's part
    _stand_in(_Transformers)


def _stand_in(kind: type[Later]) -> ModuleType | None:
    if kind.NAME in sys.modules or (spec := PathFinder.find_spec(kind.NAME)) is None:
        return None
    module = sys.modules[kind.NAME] = kind(kind.NAME)
    module.__spec__ = spec  # by which others look whether it is installed
    return module


class _Scipy(Later):
    NAME = "scipy"


class _Signal(Later):
    NAME = "scipy.signal"

    hamming = None
    """torchmetrics adds it where it is not there."""


class _Transformers(Later):
    NAME = "transformers"

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.NAME) is self and asker().startswith("torchmetrics."):
            if name == "__path__":
                raise AttributeError(name)  # `from ... import` asks for it
            if not name.startswith("__"):
                return _Name(self, name)
        return super().__getattr__(name)


class _Name:
    """A class of a module that is imported when something is asked of the class."""

    def __init__(self, module: Later, name: str) -> None:
        self._module, self._name = module, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module.there(self._name), name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._module.there(self._name)(*arguments, **named)
