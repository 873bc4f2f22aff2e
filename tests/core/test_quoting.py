"""Values and texts as messages quote them."""

from __future__ import annotations

from modelforge.core.quoting import quoted


def test_what_cannot_be_shown_is_named_by_its_type():
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    assert quoted(value) == "a value of the type `list` that is too large to be shown"
