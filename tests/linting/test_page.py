"""The pages of rules: each is linked, and the rule of one's own that the index shows works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import modelforge as mf
from modelforge.linting.page import index, page
from modelforge.linting.rule import RULES, unregister_rule

FOLDER = Path(__file__).parents[2] / "docs" / "lint"
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")


def test_every_page_is_linked_once():
    linked = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\)", INDEX, flags=re.MULTILINE)
    assert [code for code, _ in linked] == sorted(RULES.names())
    assert all(code == file and (FOLDER / f"{file}.md").exists() for code, file in linked)


def test_a_page_shows_both_configs_and_what_is_printed():
    rule = RULES.get("MW101")
    text = page(rule, "what is printed")
    assert all(part in text for part in (rule.bad, rule.good, rule.why, rule.when, "what is printed"))


def test_the_rule_of_the_index_finds_what_it_says():
    (shown,) = re.findall(r"```python\n(.*?)```", index([]), flags=re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(shown, namespace)
    try:
        layers = {"a": {"type": "Linear", "out_features": 5000}}
        plan = mf.plan(mf.parse({"input": {"shape": [2]}, "layers": layers}, init="kaiming"))
        [problem] = mf.lint(plan, rules=["ACME101"])
        assert problem.message == "`a.weight` is too wide"
    finally:
        unregister_rule("ACME101")
