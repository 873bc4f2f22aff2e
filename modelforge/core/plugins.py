"""Plugins: modules that register what they declare when they are imported.

Those of modelforge and of other packages are imported when they are first needed, those of a project by its commands.
"""

from __future__ import annotations

import inspect
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterable
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.project import FILE, KEY, Project, find_project, shown
from modelforge.core.quoting import sentence
from modelforge.core.suggestions import nearest

_loaded: set[str] = set()
_imported: set[str] = set()


def load_package(package: str) -> None:
    """Imports every module of a package, in the order of their names."""
    for module in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        import_module(module.name)


def load_entry_points(group: str) -> None:
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
        for entry_point in _offered(group):
            try:
                entry_point.load()
            except Exception as error:
                cause = error
                problems.append(_cannot_be_loaded(entry_point, group, error))
        if problems:
            raise ForgeError(problems) from cause
    except BaseException:
        _loaded.discard(group)
        _installed.cache_clear()
        raise


def load_plugins(folder: str | Path | None = None) -> tuple[str, ...]:
    """Imports the modules that `[tool.modelforge] plugins` names, with the project's folder first on the search path.

    Its `src` comes next, where it holds one of them.

    Every command does so for the working folder, and `train.py` for its own. A module that was imported before stays as
    it is.

    Args:
        folder: The folder of the project, or one below it; None for the working folder.

    Returns:
        The names of the modules; empty where there is no project.

    Raises:
        ForgeError: the file is wrong, or modules cannot be imported.
    """
    project = find_project(folder)
    if project is None or not project.plugins:
        return ()
    known = {*map(os.path.realpath, sys.path)}
    sys.path[:0] = [str(path) for path in _search_path(project) if os.path.realpath(path) not in known]
    problems = [problem for name in project.plugins if (problem := _import(name, project))]
    if problems:
        raise ForgeError(problems)
    return project.plugins


def _search_path(project: Project) -> list[Path]:
    """Where the project's own modules may lie: its folder, and its `src` where one of them lies there."""
    source = project.folder / "src"
    first = {name.partition(".")[0] for name in project.plugins}
    below = any((source / name).is_dir() or (source / f"{name}.py").is_file() for name in first)
    return [project.folder, source] if below else [project.folder]


def imported() -> tuple[str, ...]:
    """The modules that projects named as plugins, in this process."""
    return tuple(sorted(_imported))


def own_module() -> str:
    """The end of a hint at registering something of one's own: where to name its module; empty once one is named."""
    return "" if _imported else f", in a module listed as `[{KEY}] plugins` in {FILE}"


def only_installed_plugins() -> None:
    """From now on `hydra_plugins` is what is installed of it; the working folder adds and replaces nothing.

    Hydra imports all that it finds in `hydra_plugins`, and a folder of configs may come with a folder of that name.
    """
    here = os.path.realpath(os.curdir)
    spec = PathFinder.find_spec("hydra_plugins", [entry for entry in sys.path if os.path.realpath(entry) != here])
    module = ModuleType("hydra_plugins") if spec is None else module_from_spec(spec)
    module.__path__ = [] if spec is None else list(spec.submodule_search_locations or ())
    sys.modules["hydra_plugins"] = module


def _offered(group: str) -> Iterable[EntryPoint]:
    return _installed().select(group=group)


@cache
def _installed() -> EntryPoints:
    """The entry points of all packages, for which the metadata of each is read."""
    return entry_points()  # pyright: ignore[reportReturnType]  # of Python 3.11: another class that has `select`


def _cannot_be_loaded(entry_point: EntryPoint, group: str, error: Exception) -> Problem:
    package = getattr(entry_point.dist, "name", None)
    owner = f"the package `{package}`" if package else f"the entry point `{entry_point.name}`"
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    message = f"{owner} offers `{entry_point.value}` to modelforge, but that cannot be imported: {said}"
    hint = (
        f"correct, update or uninstall it: `pip uninstall {package}`" if package else "correct or uninstall its package"
    )
    return Problem("MF081", f"{group}:{entry_point.name}", message, hint)


def _import(name: str, project: Project) -> Problem | None:
    """Imports a plugin; what it prints goes to standard error, since standard output may be data."""
    try:
        with redirect_stdout(sys.stderr):
            import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            return _not_found(name, project)
        return _raised(name, project, error)
    except (Exception, SystemExit) as error:
        return _raised(name, project, error)
    _imported.add(name)
    return None


def _not_found(name: str, project: Project) -> Problem:
    folders = [root.joinpath(*name.split(".")[:-1]) for root in (project.folder, project.folder / "src")]
    here = [path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.name[0] != "."]
    known = [path.stem for path in here if path.suffix == ".py" or (path / "__init__.py").is_file()]
    near = nearest(name.rpartition(".")[2], known)
    hint = near or f"create `{name.replace('.', '/')}.py`, or correct the name"
    message = f"there is no module `{name}`, neither beside `{shown(project.file)}` nor in this environment"
    return Problem("MF081", "", message, hint, project.place(f'"{name}"') or project.place(name))


def _raised(name: str, project: Project, error: BaseException) -> Problem:
    """The problem of a plugin whose own code stops its import, at the line that does."""
    said = f"{type(error).__name__}: {sentence(error)}"
    message = f"the plugin `{name}` cannot be imported: {said}"
    if isinstance(error, ModuleNotFoundError):
        hint = f"install what provides `{error.name}`, or correct the name"
    else:
        hint = f"correct it; `python -c 'import {name}'` in its folder shows the whole traceback"
    return Problem("MF081", "", message, hint, _place_of(error, project) or project.place(name))


def _place_of(error: BaseException, project: Project) -> Place | None:
    """The line of the project's own code that an error comes from."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        source = (error.text or "").rstrip("\n")
        return Place(shown(Path(error.filename)), error.lineno, error.offset or 1, 1, source)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(project.folder) and "site-packages" not in path.parts and frame.lineno:
            source = frame.line or ""
            return Place(shown(path), frame.lineno, 1, max(len(source), 1), source)
    return None


def check_declaration(cls: object, base: type, named: str) -> None:
    """Checks a class that is its own declaration, before it is registered.

    Raises:
        TypeError: it is not a subclass of `base` (which `named` puts in words), not finished, or has no docstring.
    """
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        raise TypeError(f"{cls!r} is not a subclass of {named}")
    if missing := getattr(cls, "__abstractmethods__", None):
        raise TypeError(f"{cls.__qualname__} does not implement {', '.join(sorted(missing))}")
    stripped = sys.flags.optimize >= 2  # `python -OO` keeps no docstrings
    if not stripped and not (cls.__dict__.get("__doc__") or "").strip():
        raise TypeError(f"{cls.__qualname__} needs a docstring that says what it does")
