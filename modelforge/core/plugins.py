"""Plugins: what modelforge and other packages offer is imported when it is first needed, and registers itself."""

from __future__ import annotations

import inspect
import os
import pkgutil
import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec
from types import ModuleType

from modelforge.core.errors import ForgeError, Problem

_loaded: set[str] = set()


def load_package(package: str) -> None:
    """Imports every module of a package, in the order of their names."""
    for module in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        import_module(module.name)


def load_plugins(group: str) -> None:
    """Imports what the group's entry points name, the first time it is called.

    Raises:
        ForgeError: plugins cannot be imported; the next call tries again.
    """
    if group in _loaded:
        return
    _loaded.add(group)
    problems: list[Problem] = []
    cause: Exception | None = None
    try:
        for entry_point in entry_points(group=group):
            try:
                entry_point.load()
            except Exception as error:
                cause = error
                problems.append(_cannot_be_loaded(entry_point, group, error))
        if problems:
            raise ForgeError(problems) from cause
    except BaseException:
        _loaded.discard(group)
        raise


def installed_alone(package: str) -> None:
    """From now on a package is what is installed of it; the working folder adds nothing and takes nothing's place.

    Hydra imports all that it finds in `hydra_plugins`, and a folder of configs may come with a folder of that name.
    """
    here = os.path.realpath(os.curdir)
    spec = PathFinder.find_spec(package, [entry for entry in sys.path if os.path.realpath(entry) != here])
    module = ModuleType(package) if spec is None else module_from_spec(spec)
    module.__path__ = [] if spec is None else list(spec.submodule_search_locations or ())
    sys.modules[package] = module


def _cannot_be_loaded(entry_point: EntryPoint, group: str, error: Exception) -> Problem:
    package = getattr(entry_point.dist, "name", None)
    owner = f"the package `{package}`" if package else f"the entry point `{entry_point.name}`"
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    message = f"{owner} offers `{entry_point.value}` to modelforge, but that cannot be imported: {said}"
    hint = (
        f"correct, update or uninstall it: `pip uninstall {package}`" if package else "correct or uninstall its package"
    )
    return Problem("MF081", f"{group}:{entry_point.name}", message, hint)


def check_declaration(cls: object, base: type, named: str) -> None:
    """Checks a class that is its own declaration, before it is registered.

    Raises:
        TypeError: it is no subclass of `base` (which `named` puts in words), not finished, or has no docstring.
    """
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        raise TypeError(f"{cls!r} is not a subclass of {named}")
    if missing := getattr(cls, "__abstractmethods__", None):
        raise TypeError(f"{cls.__qualname__} does not implement {', '.join(sorted(missing))}")
    stripped = sys.flags.optimize >= 2  # `python -OO` keeps no docstrings
    if not stripped and not (cls.__dict__.get("__doc__") or "").strip():
        raise TypeError(f"{cls.__qualname__} needs a docstring that says what it does")
