"""import_compiler_late: torch's compiler waits until something compiles; a layer on the meta device needs none.

torch's own kernels for that device are wrapped in `torch._dynamo.disable`, which keeps the compiler out of them, and
ask the compiler of every size and condition whether it is a symbol. The first call of one imports the compiler, with
sympy and torch.distributed: nearly as long as `import torch` itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from threading import RLock
from types import FunctionType, ModuleType
from typing import Any

_DYNAMO, _SHAPES, _SYMPY = "torch._dynamo", "torch.fx.experimental.symbolic_shapes", "sympy"
_INDUCTOR, _CONFIG = "torch._inductor", "torch._inductor.config"


def import_compiler_late() -> None:
    """From now on each of these modules is imported at the first use of anything that has no answer here."""
    for kind in (_Dynamo, _Inductor, _Settings, _Shapes, _Sympy):
        stand_in(kind)


def stand_in(kind: type[LazyModule]) -> None:
    """Puts a stand-in in the place of a module that is installed and not yet imported."""
    if kind.NAME in sys.modules or (spec := _spec(kind.NAME)) is None:
        return
    sys.modules[kind.NAME] = kind(spec)


def _spec(name: str) -> ModuleSpec | None:
    """Where a module is, found without importing its packages."""
    top, *parts = name.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):  # a finder refuses it, or it is there and made by hand
        return None
    for part in parts:
        spec = spec and PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations)
    return spec


_LOCK = RLock()
"""Held while a stand-in leaves its place, and never during an import, which has locks of its own."""


class LazyModule(ModuleType):
    """Stands for a module until it is imported, and leads to it from then on."""

    NAME: str

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        vars(self).update(__spec__=spec, __file__=spec.origin, __loader__=spec.loader, __package__=spec.parent)

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if name == "__path__" and (spec is None or spec.submodule_search_locations is None):
            raise AttributeError(name)  # every `from ... import` asks for it
        if name == "__all__":
            module = self.module()
            return getattr(module, name, [public for public in vars(module) if not public.startswith("_")])
        if self.waits():
            if (part := sys.modules.get(f"{self.NAME}.{name}")) is not None:
                return part
            if name == "__version__":
                return self._version()
            if name.startswith("__") and name != "__path__":
                raise AttributeError(name)  # what others ask of all modules, such as `inspect`, imports none
        return self.there(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OF_IMPORTS:
            super().__setattr__(name, value)
        else:
            setattr(self.module(), name, value)

    def __delattr__(self, name: str) -> None:
        if name in _OF_IMPORTS:
            super().__delattr__(name)
        else:
            delattr(self.module(), name)

    def __dir__(self) -> Iterable[str]:
        return dir(self.module())

    def waits(self) -> bool:
        """Whether the module is not yet imported."""
        return sys.modules.get(self.NAME) is self

    def there(self, name: str) -> Any:
        """A name of the module itself."""
        return getattr(self.module(), name)

    def module(self) -> ModuleType:
        """The module itself, which is imported."""
        with _LOCK:
            if self.waits():
                del sys.modules[self.NAME]
                sys.meta_path.insert(0, _Parts(self.NAME))  # for the rest of the process: imports are under way
                self.arrives()
        return import_module(self.NAME)

    def arrives(self) -> None:
        """The module is about to be imported."""

    def _version(self) -> str:
        if "." in self.NAME:
            raise AttributeError("__version__")
        try:
            return version(self.NAME)
        except PackageNotFoundError:
            return self.there("__version__")


_OF_IMPORTS = {"__cached__", "__file__", "__loader__", "__package__", "__path__", "__spec__"}
"""What the import system writes to a module."""


class _Parts(MetaPathFinder, Loader):
    """Finds the parts of a package that the package itself has imported.

    `import package.part` asks the package for its `__path__`, which imports a package that was put off. A part that is
    there by then would be imported a second time.
    """

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        there = sys.modules.get(fullname) if fullname.rpartition(".")[0] == self._package else None
        if there is None or target is not None:  # a target is imported again on purpose
            return None
        return ModuleSpec(fullname, self, loader_state=there.__spec__)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return sys.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None and spec.loader is self:
            vars(module)["__spec__"] = spec.loader_state


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


class _Dynamo(LazyModule):
    NAME = _DYNAMO

    def __getattr__(self, name: str) -> Any:
        if self.waits():
            who = asker()
            if name == "__path__" and who.startswith("lightning."):
                raise AttributeError(name)  # `from ... import` asks for it, and would import what is in the package
            if name == "OptimizedModule" and who.startswith("lightning."):
                return OptimizedModule
            if name == "graph_break" and who.startswith("torch."):
                return _nothing  # nothing compiles, and an optimizer asks for it at each step
            if name == "disable":
                return self._disable
        return super().__getattr__(name)

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec)
        self._left: list[Any]
        vars(self)["_left"] = []

    def _disable(self, function: Callable[..., Any] | None = None, *options: Any, **named: Any) -> Any:
        """The function itself, where torch asks for one of its own: nothing compiles yet."""
        with _LOCK:
            if self.waits() and not named.get("wrapping", True):
                self._left.append(function)
                return function
        if isinstance(function, FunctionType) and self.waits():
            return self._disabled(function, *options, **named)
        return self.there("disable")(function, *options, **named)

    def _disabled(self, function: FunctionType, *options: Any, **named: Any) -> Callable[..., Any]:
        """The function, which the compiler leaves out as soon as it is there."""
        real = cache(lambda: self.there("disable")(function, *options, **named))

        @wraps(function)
        def disabled(*values: Any, **more: Any) -> Any:
            return (function if self.waits() else real())(*values, **more)

        disabled._torchdynamo_disable = True  # pyright: ignore[reportAttributeAccessIssue]  # by which it knows
        return disabled

    def arrives(self) -> None:
        for function in self._left:  # what `disable` gave is kept there: torch asks again
            vars(function).pop("__dynamo_disable", None)


def _nothing(*_: Any) -> None:
    """Breaks no graph."""


class _Inductor(LazyModule):
    NAME = _INDUCTOR

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec)
        self._settings: _Settings | None
        vars(self)["_settings"] = None

    def arrives(self) -> None:
        if isinstance(settings := sys.modules.get(_CONFIG), _Settings):
            del sys.modules[_CONFIG]
            vars(self)["_settings"] = settings

    def module(self) -> ModuleType:
        module = super().module()
        if self._settings is not None:
            self._settings.module()
        return module


class _Settings(LazyModule):
    """Keeps the settings of a compiler that is not there; `torch.use_deterministic_algorithms` makes one."""

    NAME = _CONFIG

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec)
        self._early: dict[str, Any]
        vars(self)["_early"] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        with _LOCK:
            if early := self.waits() and name not in _OF_IMPORTS:
                self._early[name] = value
        if not early:
            super().__setattr__(name, value)

    def module(self) -> ModuleType:
        module = super().module()
        for name, value in [*self._early.items()]:
            setattr(module, name, value)
        self._early.clear()
        return module


def _itself(value: Any) -> Any:
    return value


def _are_equal(one: Any, other: Any) -> bool:
    return [*one] == [*other] if isinstance(one, tuple | list) else one == other


class _Shapes(LazyModule):
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
    """What the functions give for Python's own numbers and conditions, which are not symbols."""

    def __getattr__(self, name: str) -> Any:
        if name not in self.ANSWERS or not self.waits():
            return super().__getattr__(name)
        import_module("torch.fx.experimental._config")  # torch takes it to be there with this module
        answer = self.ANSWERS[name]

        def function(*values: Any, **named: Any) -> Any:
            early = not named and all(map(_is_plain, values))
            return answer(*values) if early else self.there(name)(*values, **named)

        vars(self)[name] = function  # torch asks thousands of times
        return function

    def arrives(self) -> None:
        for name in self.ANSWERS:
            vars(self).pop(name, None)


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int) or (isinstance(value, tuple | list) and all(map(_is_plain, value)))


class _Sympy(LazyModule):
    NAME = _SYMPY

    def __getattr__(self, name: str) -> Any:
        if name == "Basic" and asker() == "torch._prims_common" and self.waits():
            return _NoValue  # whether an argument is an expression: before sympy is there, none is
        return super().__getattr__(name)


class _NoValue:
    """A class that no value has."""
