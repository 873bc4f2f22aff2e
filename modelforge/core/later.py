"""put_off_extras: what torchmetrics imports for metrics of speech and text, and for plots, waits until it is used.

`import lightning` imports torchmetrics, which imports scipy.signal to add one name to it, transformers for BERTScore
and matplotlib for `Metric.plot`: longer than all else of Lightning.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType, SimpleNamespace
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
    _stand_in(_Matplotlib)


def _stand_in(kind: type[Later]) -> ModuleType | None:
    if kind.NAME in sys.modules or (spec := PathFinder.find_spec(kind.NAME)) is None:
        return None
    module = sys.modules[kind.NAME] = kind(kind.NAME)
    module.__spec__, module.__file__ = spec, spec.origin  # by which others look whether it is installed, and where
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


class _Matplotlib(Later):
    NAME = "matplotlib"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._parts = {part: _Part(f"{name}.{part}", self) for part in ("axes", "colors", "pyplot")}
        for part, module in self._parts.items():
            setattr(self, part, module)
            sys.modules[module.NAME] = module

    def arrives(self) -> None:
        for module in self._parts.values():
            sys.modules.pop(module.NAME, None)


class _Part(Later):
    """A module of matplotlib."""

    def __init__(self, name: str, package: _Matplotlib) -> None:
        super().__init__(name)
        self.NAME, self._package = name, package

    def __getattr__(self, name: str) -> Any:
        early = sys.modules.get(self.NAME) is self and not name.startswith("__")
        if early and asker() == "torchmetrics.utilities.plot":
            return SimpleNamespace(context=_in_style) if name == "style" else _Name(self, name)
        return super().__getattr__(name)

    def there(self, name: str) -> Any:
        if sys.modules.get(self.NAME) is self:
            self._package.there("__path__")
        return getattr(import_module(self.NAME), name)


def _in_style(*style: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Has a function draw in a style, as `matplotlib.style.context` does."""

    def styled(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def draw(*arguments: Any, **named: Any) -> Any:
            with import_module("matplotlib.style").context(*style):
                return function(*arguments, **named)

        return draw

    return styled


class _Name:
    """A class of a module that is imported when something is asked of the class."""

    def __init__(self, module: Later, name: str) -> None:
        self._module, self._name = module, name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # `typing` asks what stands in an annotation
            raise AttributeError(name)
        return getattr(self._module.there(self._name), name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._module.there(self._name))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._module.there(self._name)(*arguments, **named)
