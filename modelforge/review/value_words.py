"""Edited values in words: `0.001 → 0.01`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from modelforge.core.words import cut, printable, value
from modelforge.review.values import ABSENT, exact

MAX_VALUE = 100
"""Characters of a value in a document."""


def pair(old: Any, new: Any) -> tuple[str | None, str | None]:
    """Both values; of those that differ in type a text in quotes, None where a side has none.

    >>> pair(0.001, 0.01), pair(1, 1.0), pair("1", 1), pair(0.002, "2e-3"), pair(None, ""), pair(ABSENT, None)
    (('0.001', '0.01'), ('1', '1.0'), ('"1"', '1'), ('0.002', '"2e-3"'), ('null', '""'), (None, 'null'))
    """
    words = [None if item is ABSENT else _brief(value(item)) for item in (old, new)]
    texts = [item for item in (old, new) if isinstance(item, str)]
    if words[0] == words[1] or "" in texts or (len(texts) == 1 and _looks_typed(texts[0]) and ABSENT not in (old, new)):
        words = [None if raw is ABSENT else _brief(exact(raw)) for raw in (old, new)]
    return words[0], words[1]


def _looks_typed(text: str) -> bool:
    """Whether YAML reads the text, without quotes, as a number, a truth value or null.

    >>> _looks_typed("yes"), _looks_typed("2e-3"), _looks_typed("same")
    (True, True, False)
    """
    with suppress(ValueError):
        float(text)
        return True
    return text.lower() in ("", "~", "null", "true", "false", "yes", "no", "on", "off")


def arrow(old: str | None, new: str | None) -> str:
    """
    >>> arrow("1", "2"), arrow(None, "2"), arrow("1", None)
    ('1 → 2', 'added: 2', 'removed: 1')
    """
    if old is None:
        return f"added: {new}"
    return f"removed: {old}" if new is None else f"{old} → {new}"


def list_edit(old: Any, new: Any) -> str:
    """What was added to a list such as `defaults`, and removed from it; empty for other values.

    >>> list_edit(["a", "b"], ["b", "c"]), list_edit(1, 2)
    ('- a, + c', '')
    """
    if not (isinstance(old, list) and isinstance(new, list)):
        return ""
    removed = [f"- {_brief(value(item))}" for item in old if item not in new]
    return ", ".join([*removed, *(f"+ {_brief(value(item))}" for item in new if item not in old)])


def ratio(old: Any, new: Any) -> float | None:
    """New over old, where both are numbers and there is such a number.

    >>> ratio(0.001, 0.01), ratio(0, 1), ratio(True, 2), ratio("a", 1), ratio(1, -2)
    (10.0, None, None, None, None)
    """
    numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in (old, new))
    try:
        found = new / old if numbers and old else 0
    except OverflowError:
        return None
    return float(f"{found:.6g}") if 0 < found < float("inf") else None


def _brief(text: str) -> str:
    return cut(printable(text), MAX_VALUE)
