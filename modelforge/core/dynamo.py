"""put_off: torch's compiler is imported when something compiles, and not because a layer runs on the meta device.

torch's own kernels for that device are wrapped in `torch._dynamo.disable`, which keeps the compiler out of them. The
first call of one imports the compiler, with sympy and torch.distributed: nearly as long as `import torch` itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

_NAME = "torch._dynamo"


def put_off() -> None:
    """From now on `torch._dynamo` is imported at the first use of anything in it but `disable`; for a command."""
    if _NAME not in sys.modules:
        sys.modules[_NAME] = _Later(_NAME)


class _Later(ModuleType):
    """Stands for the module until it is there."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._left: list[Any] = []

    def disable(self, function: Callable[..., Any] | None = None, *options: Any, **named: Any) -> Any:
        """The function itself, where torch asks for one of its own: nothing compiles yet."""
        if named.get("wrapping", True):
            return self.__getattr__("disable")(function, *options, **named)
        self._left.append(function)
        return function

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # `inspect` asks every module for its file
            raise AttributeError(name)
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
            for function in self._left:  # what `disable` gave is kept there: torch asks again
                vars(function).pop("__dynamo_disable", None)
        return getattr(import_module(_NAME), name)
