"""import_extras_late: what torchmetrics imports for metrics of speech and text waits until it is used.

`import lightning` imports torchmetrics, which imports scipy.signal to add one name to it, and transformers for
BERTScore: longer than all else of Lightning.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from modelforge.core.lazy_torch import LazyModule, asker, import_compiler_late, stand_in


def import_extras_late() -> None:
    """From now on these packages, where they are installed, are imported at their first use; and torch's compiler."""
    import_compiler_late()
    for kind in (_Scipy, _Signal, _Transformers):
        stand_in(kind)


class _Scipy(LazyModule):
    NAME = "scipy"


class _Signal(LazyModule):
    NAME = "scipy.signal"

    def __getattr__(self, name: str) -> Any:
        if name == "hamming" and self.waits() and asker().startswith("torchmetrics"):
            return None  # torchmetrics adds it where it is not there
        return super().__getattr__(name)

    def module(self) -> ModuleType:
        module = super().module()
        if not hasattr(module, "hamming"):
            vars(module)["hamming"] = module.windows.hamming
        return module


class _Transformers(LazyModule):
    NAME = "transformers"

    def __getattr__(self, name: str) -> Any:
        if self.waits() and asker().startswith("torchmetrics."):
            if name == "__path__":
                raise AttributeError(name)  # `from ... import` asks for it
            if not name.startswith("__"):
                return _Name(self, name)
        return super().__getattr__(name)


class _Name:
    """A class of a module that is imported when something is asked of the class."""

    def __init__(self, module: LazyModule, name: str) -> None:
        self._module, self._name = module, name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # `typing` asks what stands in an annotation
            raise AttributeError(name)
        return getattr(self._module.there(self._name), name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._module.there(self._name))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._module.there(self._name)(*arguments, **named)
