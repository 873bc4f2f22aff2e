"""Plugins: what other packages offer under an entry point group is imported once, and registers itself."""

from __future__ import annotations

from importlib.metadata import entry_points

_loaded: set[str] = set()


def load_plugins(group: str) -> None:
    """Imports what the group's entry points name, the first time it is called.

    Raises:
        Exception: whatever a plugin raises, with a note that names it; the next call tries again.
    """
    if group in _loaded:
        return
    _loaded.add(group)
    for entry_point in entry_points(group=group):
        try:
            entry_point.load()
        except Exception as error:
            _loaded.discard(group)
            error.add_note(f"while loading {entry_point.value} (entry point `{entry_point.name}` of `{group}`)")
            raise
