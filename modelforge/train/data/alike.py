"""look_alikes: warnings about names that look equal on a screen and are not. Distinct texts stay distinct."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.core.words import plural

MAX_SHOWN = 5
"""Groups of names that have a warning each."""
UNSEEN = frozenset({"Cc", "Cf"})
"""Categories of Unicode: controls, and formats such as a byte order mark or a zero-width space."""


def alike(names: Iterable[object]) -> list[list[str]]:
    """Groups of texts that look equal: they differ in blanks, zero-width characters, or the encoding of accents.

    >>> alike(["caf\\u00e9", "cat", "cafe\\u0301", " cat", "Cat", 3])
    [['caf\xe9', 'cafe\u0301'], ['cat', ' cat']]
    """
    groups = dict[str, list[str]]()
    for name in names:
        if isinstance(name, str):
            groups.setdefault(seen(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def seen(name: str) -> str:
    """The visible part of a text."""
    if name.isascii() and name.isprintable():
        return " ".join(name.split())
    composed = unicodedata.normalize("NFC", name)
    shown = (sign for sign in composed if sign.isspace() or unicodedata.category(sign) not in UNSEEN)
    return " ".join("".join(shown).split())


def look_alikes(names: Iterable[object], kind: str, named: str, where: str) -> Iterator[Problem]:
    """Warnings about groups of names that look equal: the first few, then their number.

    Args:
        names: Distinct names.
        kind: What they name: `classes`, `columns`, `groups` or `categories`.
        named: The data, in words.
        where: The key of the `data` section.
    """
    groups = alike(names)
    hint = f"if they are meant to be equal, write them in the same way; texts that differ are different {kind}"
    for group in groups[:MAX_SHOWN]:
        shown = listed(map(ascii, group), MAX_SHOWN)
        message = f"{len(group)} {kind} of {named} look equal, but are not: {shown}"
        yield Problem("MW204", f"data.{where}", message, hint, severity="warning")
    if (more := len(groups) - MAX_SHOWN) > 0:
        message = f"{plural(more, 'more group')} of {kind} of {named} look equal, but are not"
        yield Problem("MW204", f"data.{where}", message, severity="warning")
