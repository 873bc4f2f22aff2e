"""`Read`: what a layer reads among its siblings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Read:
    """A reference among siblings: the name of what is read, and where in its output (`()` is all of it)."""

    source: str
    path: tuple[int, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.source, *map(str, self.path)))
