"""Markdown: nothing in a config may format, mention, or break out of its cell."""

from __future__ import annotations

import re

import pytest

from modelforge.review.diff import diff
from modelforge.review.markdown import code, to_markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "`plain`"),
        ("@someone", "`@\u200bsomeone`"),
        ("a`b``c", "``` a`b``c ```"),
        ("a|b\\|c", "`a\\|b\\\\|c`"),
        ("two\nlines\r\n", "`two lines`"),
        ("\x1b[31mred", "`\\x1b[31mred`"),
        ("<script>", "`<script>`"),
    ],
)
def test_code(text, expected):
    assert code(text) == expected


def test_a_hostile_name(plan):
    """Override sets are shown as they were typed, and rules by their globs."""
    layers = {"a": {"type": "Linear", "out_features": 2}}
    old = plan("zeros", **layers)
    new = plan({"scheme": "zeros", "params": {"[a@`|\n]*.weight": {"scheme": "ones"}}}, **layers)
    text = to_markdown(diff(old, new), "`@all`", "a|b\n\n# title")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert re.search(r"@(?!\u200b)", text) is None
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 7 for row in rows)
    assert not any(line.startswith("# ") for line in text.splitlines())


@pytest.mark.parametrize(
    ("scheme", "sizes"),
    [("orthogonal", ["rows 4 → 40"]), ("xavier", ["fan 6 → 24"]), ("kaiming", [])],
)
def test_a_spread_with_two_causes_names_both(plan, scheme, sizes):
    """Kaiming's fan is the input's, which stays."""

    def side(number: float, width: int):
        return plan({"scheme": scheme, "gain": number}, a={"type": "Linear", "out_features": width, "bias": False})

    found = diff(side(1.0, 4), side(2.0, 40))
    row = next(line for line in to_markdown(found).splitlines() if "`a.weight`" in line)
    reasons = ["gain 1 → 2", *sizes]
    assert row.endswith(f"| {'<br>'.join(f'`{reason}`' for reason in reasons)} |")
    assert all(reason in str(found) for reason in reasons)
