"""Plugins: what other packages offer under an entry point group is imported once, and registers itself."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from modelforge.errors import ForgeError, Problem

_loaded: set[str] = set()


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
    for entry_point in entry_points(group=group):
        try:
            entry_point.load()
        except Exception as error:
            cause = error
            problems.append(_cannot_be_loaded(entry_point, group, error))
    if problems:
        _loaded.discard(group)
        raise ForgeError(problems) from cause


def _cannot_be_loaded(entry_point: EntryPoint, group: str, error: Exception) -> Problem:
    package = getattr(entry_point.dist, "name", None)
    owner = f"the package `{package}`" if package else f"the entry point `{entry_point.name}`"
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    message = f"{owner} offers `{entry_point.value}` to modelforge, but that cannot be imported: {said}"
    hint = f"mend, update or uninstall it: `pip uninstall {package}`" if package else "mend or uninstall its package"
    return Problem("MF080", f"{group}:{entry_point.name}", message, hint)
