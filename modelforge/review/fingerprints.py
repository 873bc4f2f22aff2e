"""fingerprint: what a change is → twelve digits that stay the same while it does."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from modelforge.review.values import ABSENT, exact


def fingerprint(kind: str, section: str, key: str, old: Any = ABSENT, new: Any = ABSENT) -> str:
    """Twelve hexadecimal digits. Lines, file names and compositions are not part of it.

    Example:
        >>> fingerprint("init-changed", "init", "init.gain", 1.0, 1.4)
        '64be8300ea6d'
    """
    values = [None if value is ABSENT else exact(value, sort=True) for value in (old, new)]
    return sha256(exact([kind, section, key, *values]).encode()).hexdigest()[:12]
