"""did_you_mean: a name that is not known → a hint with the nearest known ones; lookup: a name → what has it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TypeVar

from modelforge.core.quoting import MAX_QUOTED, printable

MAX_CHOICES = 500
"""Names that are compared with a wrong one."""

T = TypeVar("T")


def lookup(known: Mapping[str, T], name: str, what: str) -> T:
    """What has a name.

    Args:
        known: Everything by its name.
        name: The name.
        what: The sentence for a name that nothing has, up to the name: ``the ledger has no parameter``.

    Raises:
        KeyError: nothing has the name; it names the nearest known ones.
    """
    if name not in known:
        hint = did_you_mean(name, known)
        raise KeyError(f"{what} {name!r}" + (f": {hint}" if hint else ""))
    return known[name]


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """A hint that names the nearest known names but `name` itself, or lists them all when nothing is near."""
    choices = _choices(str(name), known)
    listed = "known: " + ", ".join(f"`{choice}`" for choice in choices)
    return nearest(name, choices) or (listed if 0 < len(choices) <= 20 else "")


def nearest(name: object, known: Iterable[object]) -> str:
    """A hint that names the nearest known names but `name` itself; empty when nothing is near."""
    lower = {choice.lower(): choice for choice in reversed(_choices(str(name), known))}
    word = str(name).lower()
    near = [lower[match] for match in difflib.get_close_matches(word, lower, n=2, cutoff=0.6)]
    if not near and len(word) > 1:  # a short form: `F1` for `F1Score`
        near = [lower[longer] for longer in sorted(lower, key=lambda one: (len(one), one)) if longer.startswith(word)]
    return "did you mean " + " or ".join(f"`{choice}`" for choice in near[:2]) + "?" if near else ""


def _choices(name: str, known: Iterable[object]) -> list[str]:
    """The names that a wrong one is compared with; none where it is too long to be a slip."""
    if len(name) > MAX_QUOTED:
        return []
    return sorted({printable(str(one)) for one in islice(known, MAX_CHOICES)} - {name})
