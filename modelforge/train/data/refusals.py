"""What is wrong with data, at the key of the config that says otherwise or can help."""

from __future__ import annotations

from collections.abc import Sequence

from modelforge.errors import ForgeError, Problem
from modelforge.report.words import plural


def fault(where: str, message: str, hint: str = "") -> Problem:
    """One problem; `where` is a key of the `data` section."""
    return Problem("MF053", f"data.{where}", message, hint)


def refusal(where: str, message: str, hint: str = "") -> ForgeError:
    """The same, to raise."""
    return ForgeError([fault(where, message, hint)])


def undeclared(key: str, unit: str, found: int, declared: int, named: str) -> Problem:
    """A number that the file knows and the config says otherwise; the way out is what to write."""
    said = f"{named} has {plural(found, unit)}, but `{key}` is {declared}"
    return fault(key, said, f"write `data.{key}={found}`")


def listed(names: Sequence[str], at_most: int) -> str:
    """The first of several names, and how many more there are.

    >>> listed(["a", "b", "c"], 2), listed(["a", "b"], 2)
    ('`a`, `b`, and 1 more', '`a`, `b`')
    """
    more = f", and {len(names) - at_most:,} more" if len(names) > at_most else ""
    return ", ".join(f"`{name}`" for name in names[:at_most]) + more
