"""put_off: torch's compiler is imported when something compiles, and not because a layer runs on the meta device.

torch's own kernels for that device are wrapped in `torch._dynamo.disable`, which keeps the compiler out of them, and
ask the compiler of every size and condition whether it is a symbol. The first call of one imports the compiler, with
sympy and torch.distributed: nearly as long as `import torch` itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache, wraps
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

_DYNAMO, _SHAPES, _SYMPY = "torch._dynamo", "torch.fx.experimental.symbolic_shapes", "sympy"
_INDUCTOR, _CONFIG = "torch._inductor", "torch._inductor.config"


def put_off() -> None:
    """From now on each of these modules is imported at the first use of anything that has no answer here."""
    for stand_in in (_Dynamo, _Inductor, _Shapes, _Sympy):
        if stand_in.NAME not in sys.modules:
            sys.modules[stand_in.NAME] = stand_in(stand_in.NAME)


class Later(ModuleType):
    """Stands for a module until it is imported."""

    NAME: str

    def __getattr__(self, name: str) -> Any:
        # `inspect` asks every module for its file, and others for what else a module may have.
        if name.startswith("__") and name not in ("__path__", "__version__"):
            raise AttributeError(name)
        return self.there(name)

    def there(self, name: str) -> Any:
        """A name of the module itself, which is imported."""
        if sys.modules.get(self.NAME) is self:
            del sys.modules[self.NAME]
            self.arrives()
        return getattr(import_module(self.NAME), name)

    def arrives(self) -> None:
        """The module is about to be imported."""


def asker() -> str:
    """The module whose code asks a stand-in for a name; to be called by the stand-in's `__getattr__`."""
    return str(sys._getframe(2).f_globals.get("__name__"))


class _Compiled(type):
    """The class of a class that has as instances what the compiler made, once there is a compiler."""

    def __instancecheck__(cls, instance: object) -> bool:
        there = sys.modules.get(f"{_DYNAMO}.eval_frame")
        return there is not None and isinstance(instance, there.OptimizedModule)


class OptimizedModule(metaclass=_Compiled):
    """Stands for torch's class of compiled modules where Lightning asks whether a module is one."""


class _Dynamo(Later):
    NAME = _DYNAMO

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(_DYNAMO) is self and asker().startswith("lightning."):
            if name == "__path__":
                raise AttributeError(name)  # `from ... import` asks for it, and would import what is in the package
            if name == "OptimizedModule":
                return OptimizedModule
        return super().__getattr__(name)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._left: list[Any] = []

    def disable(self, function: Callable[..., Any] | None = None, *options: Any, **named: Any) -> Any:
        """The function itself, where torch asks for one of its own: nothing compiles yet."""
        if not named.get("wrapping", True):
            self._left.append(function)
            return function
        if isinstance(function, FunctionType) and sys.modules.get(_DYNAMO) is self:
            return self._disabled(function, *options, **named)
        return self.there("disable")(function, *options, **named)

    def graph_break(self, *options: Any) -> None:
        """Nothing, where nothing compiles: an optimizer asks for it at each step."""

    def _disabled(self, function: FunctionType, *options: Any, **named: Any) -> Callable[..., Any]:
        """The function, which the compiler leaves out as soon as it is there."""
        real = cache(lambda: self.there("disable")(function, *options, **named))

        @wraps(function)
        def disabled(*values: Any, **more: Any) -> Any:
            return (function if sys.modules.get(_DYNAMO) is self else real())(*values, **more)

        disabled._torchdynamo_disable = True  # pyright: ignore[reportAttributeAccessIssue]  # by which it knows
        return disabled

    def arrives(self) -> None:
        for function in self._left:  # what `disable` gave is kept there: torch asks again
            vars(function).pop("__dynamo_disable", None)


class _Inductor(Later):
    NAME = _INDUCTOR

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.config = sys.modules[_CONFIG] = _Settings(self)

    def there(self, name: str) -> Any:
        if sys.modules.get(_INDUCTOR) is self:
            set_early = sys.modules.pop(_CONFIG).__dict__["set_early"]
            super().there(name)
            for setting, value in set_early.items():
                setattr(import_module(_CONFIG), setting, value)
        return super().there(name)


class _Settings(ModuleType):
    """Keeps the settings of a compiler that is not there; `torch.use_deterministic_algorithms` makes one."""

    def __init__(self, package: _Inductor) -> None:
        super().__init__(_CONFIG)
        self.__dict__.update(package=package, set_early={})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__dict__["package"].there("config"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if sys.modules.get(_CONFIG) is self:
            self.__dict__["set_early"][name] = value
        else:
            setattr(import_module(_CONFIG), name, value)


def _itself(value: Any) -> Any:
    return value


def _are_equal(one: Any, other: Any) -> bool:
    return [*one] == [*other] if isinstance(one, tuple | list) else one == other


class _Shapes(Later):
    NAME = _SHAPES

    ANSWERS: Mapping[str, Callable[..., Any]] = {
        "expect_true": _itself,
        "guard_int": _itself,
        "guard_or_false": _itself,
        "guard_or_true": _itself,
        "guard_size_oblivious": _itself,
        "guarding_hint_or_throw": _itself,
        "has_guarding_hint": lambda _: True,
        "is_nested_int": lambda _: False,
        "statically_known_true": _itself,
        "sym_and": lambda *conditions: all(conditions),
        "sym_eq": _are_equal,
        "sym_or": lambda *conditions: any(conditions),
    }
    """What the functions give for Python's own numbers and conditions, which are no symbols."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":
            raise AttributeError(name)  # every `from ... import` asks for it, and this is no package
        if name not in self.ANSWERS or sys.modules.get(_SHAPES) is not self:
            return super().__getattr__(name)
        import_module("torch.fx.experimental._config")  # torch takes it to be there with this module
        answer = self.ANSWERS[name]

        def function(*values: Any, **named: Any) -> Any:
            early = not named and all(map(_is_plain, values))
            return answer(*values) if early else self.there(name)(*values, **named)

        setattr(self, name, function)  # torch asks thousands of times
        return function


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int) or (isinstance(value, tuple | list) and all(map(_is_plain, value)))


class _Sympy(Later):
    NAME = _SYMPY

    def __getattr__(self, name: str) -> Any:
        if name == "Basic" and asker() == "torch._prims_common" and sys.modules.get(_SYMPY) is self:
            return _NoValue  # whether an argument is an expression: before sympy is there, none is
        return super().__getattr__(name)


class _NoValue:
    """The class of no value."""
