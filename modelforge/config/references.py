"""The references in interpolations: what `${a.b}` and `${..b}` point to in a config that is not resolved yet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from modelforge.core.frozen import FrozenDict
from modelforge.core.limits import MAX_JUMPS

KeyPath: TypeAlias = tuple[str, ...]
"""The keys from the root of the config to a value."""

_SEGMENT = r"[^\\${}()\[\]:.\s'\",]+"
_KEY = rf"\.*(?:{_SEGMENT}|\[{_SEGMENT}\])(?:\.{_SEGMENT}|\[{_SEGMENT}\])*"
REFERENCE = re.compile(rf"(?<!\\)\$\{{\s*({_KEY})\s*\}}")


class Cycle(Exception):
    """References that lead back to themselves; `paths` are the values on the way."""

    def __init__(self, paths: Sequence[KeyPath]) -> None:
        super().__init__(paths)
        self.paths = tuple(paths)


class LongTrail(Cycle):
    """References into values that are references themselves, more of them than are followed: they may have no end."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Where a path leads: through `jumps` (the values that are references) to `end`, short of it by `rest`."""

    end: KeyPath
    value: Any
    jumps: tuple[KeyPath, ...] = ()
    rest: KeyPath = ()
    whole: tuple[KeyPath, ...] = ()
    """Those of the jumps whose value is that at `end` as a whole."""


def is_interpolation(value: Any) -> bool:
    """Whether a value that is not resolved yet is, or holds, an interpolation."""
    return isinstance(value, str) and "${" in value


def references(text: str, at: KeyPath) -> tuple[KeyPath, ...]:
    """What the text at `at` refers to by key; what resolvers (`${oc.env:X}`) do is their own affair."""
    return tuple(absolute(match, at) for match in REFERENCE.findall(text))


def reference(value: Any, at: KeyPath) -> KeyPath | None:
    """What a value refers to that is nothing but one reference; else None."""
    match = REFERENCE.fullmatch(value.strip()) if isinstance(value, str) else None
    return absolute(match[1], at) if match else None


def split(key: str) -> KeyPath:
    """The names in a dotted key; `a[0].b` is `a.0.b`."""
    return tuple(part for part in re.split(r"[.\[\]]+", key) if part)


def follow(config: Any, path: KeyPath, *, last: bool = True, ends: Mapping[KeyPath, KeyPath] = FrozenDict()) -> Trail:
    """Walks down `path`, through references.

    Args:
        config: the config that is not resolved yet.
        path: where to go; names that hold dots may be given in parts.
        last: whether to go through the last value too, where it is a reference.
        ends: where references lead that were followed before.

    Raises:
        Cycle: references lead back to themselves, or on and on.

    >>> follow({"data": {"shape": [8, 8]}, "model": {"input": "${data}"}}, ("model", "input", "shape", "0"))
    Trail(end=('data', 'shape', '0'), value=8, jumps=(('model', 'input'),), rest=(), whole=())
    """
    at: KeyPath = ()
    value = config
    jumps: list[KeyPath] = []
    whole: list[KeyPath] = []
    seen: set[tuple[KeyPath, KeyPath]] = set()
    while True:
        target = reference(value, at)
        if target is not None and (path or last):
            if (at, path) in seen:
                raise Cycle(jumps[jumps.index(at) :])
            if len(jumps) - len(whole) >= MAX_JUMPS:
                raise LongTrail(jumps)
            seen.add((at, path))
            jumps.append(at)
            if not path:
                whole.append(at)
            at, value, path = (), config, ends.get(at, target) + path
            continue
        if not path:
            return Trail(at, value, tuple(jumps), whole=tuple(whole))
        name, length = _child(value, path)
        if not length:
            return Trail(at, value, tuple(jumps), path, tuple(whole))
        value = value[name] if isinstance(value, Mapping) else value[int(name)]
        at, path = (*at, name), path[length:]


def keys_named(name: str, config: Any) -> list[str]:
    """The keys of this name anywhere in a config, in full."""
    found: list[str] = []

    def look(value: Any, at: KeyPath) -> None:
        for key, item in value.items() if isinstance(value, Mapping) else ():
            if key == name:
                found.append(".".join((*at, key)))
            look(item, (*at, key))

    look(config, ())
    return found


def _child(value: Any, path: KeyPath) -> tuple[str, int]:
    """The first name of `path` in `value`, and how many parts of the path it takes: 0 where it is not there."""
    if isinstance(value, Mapping):
        for length in range(1, len(path) + 1):
            if (name := ".".join(path[:length])) in value:
                return name, length
    elif isinstance(value, list) and path[0].isdecimal() and int(path[0]) < len(value):
        return path[0], 1
    return "", 0


def absolute(key: str, at: KeyPath) -> KeyPath:
    """The path that the key in an interpolation at `at` means; dots in front go up."""
    name = key.lstrip(".")
    dots = len(key) - len(name)
    return (at[: max(len(at) - dots, 0)] if dots else ()) + split(name)
