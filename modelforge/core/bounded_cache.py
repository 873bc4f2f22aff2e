"""`Recent`: what was found, by key, and no more of it than fits."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Remembers the results that were made last; an exception among them without the frames that it passed."""

    def __init__(self, most: int = 5_000) -> None:
        self.most = most
        self._known: dict[Hashable, T] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result for a key, made where it is not there."""
        with suppress(KeyError):
            return self._known[key]
        made = make()
        if isinstance(made, BaseException):
            made.__traceback__ = made.__cause__ = made.__context__ = None
        self._known[key] = made
        if len(self._known) > self.most:
            self._known.pop(next(iter(self._known)), None)
        return made
