"""Shown: results, whose text is what a person wants to read: `print` gives it, and so does a notebook."""

from __future__ import annotations

from typing import Any


class Shown:
    """A result: `str` gives all of it to readers, and IPython shows that; `repr` is a line that says what it is.

    A dataclass needs `repr=False` for the latter.
    """

    __slots__ = ()

    def _brief(self) -> str:
        """What `repr` says of it."""
        return ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._brief()}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Called by IPython for the last value of a cell."""
        del cycle  # it holds no container that could hold it
        printer.text(str(self))
