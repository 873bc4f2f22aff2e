"""did_you_mean: a name that is not known → a hint with the nearest known ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

from modelforge.core.quoting import MAX_QUOTED, printable

MAX_CHOICES = 500
"""Names that are compared with a wrong one."""


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """A hint that names the nearest known names but `name` itself, or lists them all when nothing is near."""
    name = str(name)
    if len(name) > MAX_QUOTED:
        return ""
    choices = sorted({printable(str(one)) for one in islice(known, MAX_CHOICES)} - {name})
    lower = {choice.lower(): choice for choice in reversed(choices)}
    near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=2, cutoff=0.6)]
    if near:
        return "did you mean " + " or ".join(f"`{choice}`" for choice in near) + "?"
    if 0 < len(choices) <= 20:
        return "known: " + ", ".join(f"`{choice}`" for choice in choices)
    return ""
