"""Shown: values that a notebook shows as `print` does."""

from __future__ import annotations

from typing import Any


class Shown:
    """A value whose `str` is meant for readers, and its `repr` for programs: IPython shows the former."""

    __slots__ = ()

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Called by IPython for the last value of a cell."""
        del cycle  # it holds no container that could hold it
        printer.text(str(self))
