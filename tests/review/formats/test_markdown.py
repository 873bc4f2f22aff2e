"""Markdown: nothing in a config may format, mention, or break out of its cell; what has no room is counted."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelforge.report.escapes import code, entity, prose
from modelforge.review.diff import diff
from modelforge.review.document import Acceptance, Cause, Change, Compared, Document, Effect
from modelforge.review.documented import documented_diff
from modelforge.review.formats.markdown import MAX_CHARACTERS, markdown

HOSTILE = [
    "@everyone",
    "![x](http://evil)",
    "[a](b)",
    "<img src=x onerror=alert(1)>",
    "`a`",
    "a|b",
    "x\n# title",
    "::error::x",
    "\u202eabc\u200b",
    "</details>",
    "*bold*",
    "#1",
    "<!-- modelforge-review:x -->",
    "```mermaid",
    "- item",
    "1. item",
    "http://evil",
    "`a`<b>`[x](http://evil)",
    "``a`![x](http://evil)`*bold*``",
    "`a```b<img src=x>`[x](http://evil) `",
]


def outside_of_code(text: str) -> str:
    """Markdown without its code spans: each ends at the next run of as many backticks as it begins with."""
    runs = [(found.start(), found.end()) for found in re.finditer("`+", text)]
    left, at = "", 0
    for index, (start, end) in enumerate(runs):
        if start < at:
            continue
        closing = next((stop for begin, stop in runs[index + 1 :] if stop - begin == end - start), None)
        left += text[at:start]
        at = closing if closing is not None else end
    return left + text[at:]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "`plain`"),
        ("@someone", "`@\u200bsomeone`"),
        ("a`b``c", "``` a`b``c ```"),
        ("a|b\\|c", "`a|b\\|c`"),
        ("two\nlines\r\n", "`two lines`"),
        ("\x1b[31mred", "`\\x1b[31mred`"),
        ("<script>", "`<script>`"),
    ],
)
def test_code(text, expected):
    assert code(text) == expected


def change(name: str, **fields: Any) -> Change:
    cause = Cause(key=name, old=name, new=name)
    effect = Effect(mark="+", subject="layer", name=name, type=name, words=name, entries=(name,))
    facts = {"fingerprint": "0" * 12, "kind": "layer-added", "section": "model", "severity": "warning"}
    every = {"title": f"{name} x", "follows": name, "cause": cause, "effects": (effect,), "num_effects": 1}
    return Change(**{**facts, **every, "entries": (name,), "num_entries": 1, **fields})


def document(*changes: Change, **fields: Any) -> Document:
    compared = Compared(entries=("a", "b"), num_entries=2, num_files=3, num_changed_files=1)
    every = {"old": "old", "new": "new", "equal": False, "verdict": "1 layer added", "compared": compared}
    return Document(**{**every, "changes": changes, "num_changes": len(changes), **fields})


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_without_effect(name: str):
    accepted = change(name, accepted=Acceptance(reason=name, author=name), cause=None, title=name)
    text = markdown(document(change(name), accepted, old=name, new=name, verdict=name, notes=(name,)))
    outside = "\n".join(map(outside_of_code, text.split("\n")))
    html = set(re.findall(r"<[^>]*>", outside))
    assert html <= {"<details>", "<summary>", "</summary>", "</details>", "<code>", "</code>"}
    assert outside.count("<details>") == outside.count("</details>")
    assert not re.search(r"@(?!\u200b)|!\[|\]\(|http|\u202e|<!--|\*bold|#1", outside)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in tables]
    assert set(widths) <= {6, 7}
    assert not any(re.match(r"# |- |1\. |```(?!.*`)", line) for line in text.splitlines())


def test_a_hostile_glob_of_a_rule(plan):
    layers = {"a": {"type": "Linear", "out_features": 2}}
    old = plan("zeros", **layers)
    new = plan({"scheme": "zeros", "params": {"[a@`|\n]*.weight": {"scheme": "ones"}}}, **layers)
    text = markdown(documented_diff(diff(old, new), "`@all`", "a|b\n\n# title"))
    assert re.search(r"@(?!\u200b)", text) is None
    assert not any(line.startswith("# ") for line in text.splitlines())


def test_ten_changes_are_open_and_the_rest_folded():
    changes = [change(f"layer{index}", effects=(), num_effects=0) for index in range(25)]
    text = markdown(document(*changes))
    opened, folded = text.split("<details><summary>15 more changes</summary>")
    assert opened.count("layer") // 2 >= 10
    assert "`layer9 x`" in opened
    assert "`layer10 x`" in folded


def test_a_long_review_is_cut_and_says_so():
    effects = tuple(Effect(mark="+", subject="layer", name="x" * 400) for _ in range(200))
    changes = [change(f"layer{index}", effects=effects, num_effects=200) for index in range(30)]
    text = markdown(document(*changes))
    assert len(text) <= MAX_CHARACTERS
    assert "Cut at 60,000 characters: 30 effect tables left out." in text
    assert text.startswith("### `old` → `new`\n\n**1 layer added.**")


def test_thousands_of_changes_fit():
    changes = [change("n" * 400, effects=(), num_effects=0) for _ in range(2000)]
    text = markdown(document(*changes))
    assert len(text) <= MAX_CHARACTERS
    assert "change tables left out" in text


def test_accepted_changes_are_folded_with_their_reason():
    text = markdown(document(change("a", accepted=Acceptance(reason="as agreed", author="me"))))
    assert "<details><summary>1 accepted change</summary>" in text
    assert "as agreed | `me` |" in text
    assert "#### Model" not in text


def test_prose_keeps_plain_words_and_codes_the_rest():
    assert prose("2 layers changed, +1.2 M parameters (+8 %)") == "2 layers changed, +1.2 M parameters (+8 %)"
    assert prose("see `init.gain` of a_b") == "see `init.gain` of `a_b`"


@given(st.text(alphabet="`a<[](|) \\", max_size=14))
def test_whatever_a_sentence_holds_stays_in_code(text: str):
    assert not set(outside_of_code(prose(text))) & set("<[]|\\`")


@pytest.mark.parametrize("text", ['"]', "<b>", "a;b", "`x`", "#35;", "click n0", "a_b*"])
def test_a_label_of_a_diagram_holds_no_syntax(text: str):
    shown = entity(text)
    assert not re.search(r'["<>`*_{}|]', shown)
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), shown) == text
