"""Globs: many globs at once, matched with one name after the other; `*` stands for dots too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import translate
from functools import cached_property
from itertools import chain
from typing import TypeAlias

_WILD = re.compile(r"[*?\[]")
_Ends: TypeAlias = tuple[str, str]


class Globs:
    """Some globs. Those whose text before the first wildcard, or behind the last, is not the name's take no time.

    >>> globs = Globs(["*.weight", "l1.*", "l2.bias"])
    >>> globs.matching("l1.weight"), globs.matching("l2.bias")
    (['*.weight', 'l1.*'], ['l2.bias'])
    """

    def __init__(self, globs: Iterable[str]) -> None:
        self._order = {glob: index for index, glob in enumerate(globs)}
        self.num_compared = 0
        """How often the start, the end or the whole of a glob was compared with a name."""

    @cached_property
    def _by_ends(self) -> dict[_Ends, list[tuple[str, re.Pattern[str]]]]:
        """The globs with wildcards by the text before and behind those."""
        found: dict[_Ends, list[tuple[str, re.Pattern[str]]]] = {}
        for glob in self._order:
            parts = _WILD.split(glob)
            if len(parts) > 1:
                # What is behind a bracket may be inside it.
                ends = parts[0], "" if "[" in glob else parts[-1]
                found.setdefault(ends, []).append((glob, re.compile(translate(glob))))
        return found

    @cached_property
    def _lengths(self) -> list[tuple[int, int]]:
        return sorted({(len(start), len(end)) for start, end in self._by_ends})

    def matching(self, *names: str) -> list[str]:
        """The globs that match any of the names, in the order in which they were given."""
        found = {glob for name in names for glob in self._matching(name)}
        return sorted(found, key=self._order.__getitem__)

    def _matching(self, name: str) -> Iterator[str]:
        if name in self._order:
            yield name
        ends = ((name[:start], name[len(name) - end :]) for start, end in self._lengths if start + end <= len(name))
        near = [*chain.from_iterable(self._by_ends.get(pair, ()) for pair in ends)]
        self.num_compared += len(self._lengths) + len(near)
        yield from (glob for glob, pattern in near if pattern.match(name))
