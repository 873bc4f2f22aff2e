"""left_behind: arguments that stay of a composed file when something else chooses another `type`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from modelforge.config.origins import Origins
from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.core.suggestions import did_you_mean
from modelforge.train.arguments import misuse

MAX_LISTED = 10
"""Arguments that one note names."""


def without_left_behind(
    section: Any, path: str, known: Mapping[str, Collection[str]], origins: Origins
) -> tuple[Any, list[Problem], list[Problem]]:
    """A section without the arguments of other types, with a note about them, and what of them is wrong.

    An argument is left out where the chosen type does not have it, another type has it, a file wrote it, and the type
    was chosen elsewhere: by an override or in another file. One that an override gives is wrong. Everything else stays.

    Args:
        section: The section as composed.
        path: Its override key.
        known: The arguments of each type.
        origins: Where values were written.
    """
    name = str(section.get("type")) if isinstance(section, Mapping) else ""
    if name not in known:
        return section, [], []
    of_others = frozenset(key for keys in known.values() for key in keys) - {*known[name], "type"}
    keys = [key for key in section if key in of_others]
    if not keys:
        return section, [], []
    chosen = origins.written(f"{path}.type")
    left: list[str] = []
    wrong: list[Problem] = []
    for key in keys:
        place = origins.written(f"{path}.{key}")
        if place is None or chosen is None:
            continue
        if place.override is not None:
            hint = did_you_mean(key, known[name])
            wrong.append(misuse(f"{path}.{key}", f"{name} has no argument `{key}`", hint).at(place))
        elif chosen.override is not None or chosen.file != place.file:
            left.append(key)
    without = {*left, *(problem.key.removeprefix(f"{path}.") for problem in wrong)}
    kept = {key: value for key, value in section.items() if key not in without}
    return kept, [*_notes([key for key in left if section[key] is not None], name, path)], wrong


def _notes(left: list[str], name: str, path: str) -> Iterator[Problem]:
    if left:
        are, them = ("are", "them") if len(left) > 1 else ("is", "it")
        message = f"{listed(left, MAX_LISTED, quote='`')} {are} left out: {name} does not have {them}"
        yield Problem("MW212", f"{path}.{left[0]}", message, part="key", severity="warning")
