"""Every rule finds what its page shows, and nothing in the near miss beside it."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import modelforge as mf
from modelforge.core.codes import CODES
from modelforge.linting.rule import RULES, Found, register_rule, unregister_rule
from modelforge.train.settings import training_of

DOCS = Path(__file__).parents[2] / "docs"
LIVING = [code for code, rule in RULES.entries() if not rule.retired]
"""Codes of the rules that are applied, and of the warnings of planning."""
SHOWN = [code for code in LIVING if RULES.get(code).bad]


@cache
def make() -> ModuleType:
    found = importlib.util.spec_from_file_location("make", DOCS / "make.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def linted(text: str, *codes: str) -> list[mf.Problem]:
    config: dict[str, Any] = yaml.safe_load(text)
    return list(mf.lint(mf.plan(mf.parse(config)), training_of(config), rules=codes))


@pytest.mark.parametrize("code", SHOWN)
def test_a_bad_config_has_the_finding_and_a_near_miss_has_not(code: str):
    rule = RULES.get(code)
    found = linted(rule.bad, code)
    assert {(problem.code, problem.severity) for problem in found} == {(code, rule.severity)}
    assert linted(rule.good, code) == []


def test_pages_are_up_to_date():
    pages = {path.relative_to(DOCS): path.read_text(encoding="utf-8") for path in (DOCS / "lint").glob("*.md")}
    assert pages == make().rules(), "run `python docs/make.py`"


@pytest.mark.parametrize("code", LIVING)
def test_a_page_says_all_in_whole_sentences(code: str):
    rule = RULES.get(code)
    assert rule.title == CODES[code]
    for text in (rule.why, rule.when):
        assert text[0].isupper() or text[0] in "`V(χ"
        assert text.endswith(".")
        assert "  " not in text


# --- rules of one's own -----------------------------------------------------------------------------------------------

WIDE = """
model:
  input: {shape: [4]}
  layers: {a: {type: Linear, out_features: 8}, b: {type: Linear, out_features: 8}}
init: xavier
"""


def register(**settings: Any) -> None:
    @register_rule("ACME101", title="a wide layer", why="Slow.", when="4.", **settings)
    def wide(subject):
        for parameter in subject.parameters:
            if parameter.role == "weight" and parameter.shape[0] > 4:
                yield Found("model", parameter.path, "{} is wide", "make it smaller")

    assert wide is not None


def test_findings_that_are_equal_but_for_their_path_are_one():
    register()
    try:
        [problem] = linted(WIDE, "ACME101")
        assert (problem.message, problem.num, problem.severity) == (
            "`a.weight` and `b.weight` are wide".replace("are", "is"),
            2,
            "note",
        )
    finally:
        unregister_rule("ACME101")


def test_a_retired_rule_finds_nothing_and_keeps_its_page():
    register(retired="layers may be wide")
    try:
        assert linted(WIDE, "ACME101") == []
        assert "**Retired:** layers may be wide" in make().page(RULES.get("ACME101"), "")
    finally:
        unregister_rule("ACME101")


def test_a_rule_has_a_title():
    with pytest.raises(ValueError, match="`title` must say what ACME101 finds"):
        register_rule("ACME101", why="", when="")


def test_a_code_has_one_form_and_one_rule():
    with pytest.raises(ValueError, match="letters and three digits"):
        register_rule("wide", title="wide", why="", when="")
    with pytest.raises(ValueError, match="exists already"):
        register_rule("MW101", why="", when="")(lambda subject: ())
    with pytest.raises(mf.ForgeError, match="unknown lint rule `MW1O1`"):
        linted(WIDE, "MW1O1")


# --- findings that are meant ------------------------------------------------------------------------------------------

CONSTANT = {"scheme": "constant", "value": 0.1}


def ignoring(ignore: Any) -> mf.Plan:
    layers = {name: {"type": "Linear", "out_features": 4} for name in ("a", "b", "head")}
    model = {"input": {"shape": [4]}, "layers": layers, "lint": {"ignore": ignore}}
    return mf.plan(mf.parse(model, init=CONSTANT))


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ({"MW101": "on purpose"}, []),
        ({"MW101": {"*.weight": "on purpose"}}, []),
        ({"MW101": {"a.weight": "on purpose"}}, [("MW101", "`b.weight`")]),
        ({"MW102": "on purpose"}, [("MW101", "`a.weight` and `b.weight`"), ("MW199", "`MW102` is ignored")]),
        ({"MW101": {"*": "on purpose", "c.*": "gone"}}, [("MW199", "`MW101` at `c.*` is ignored")]),
        ({"MW101": "on purpose", "MW777": "a slip"}, [("MW199", "`MW777` is ignored, but no rule has this code")]),
    ],
)
def test_what_is_meant_is_left_out(ignore: Any, left: list[tuple[str, str]]):
    found = [one for one in mf.lint(ignoring(ignore)) if one.code in ("MW101", "MW199")]
    assert [one.code for one in found] == [code for code, _ in left]
    assert all(text in one.message for one, (_, text) in zip(found, left, strict=True))


@pytest.mark.parametrize(
    "ignore", ["MW101", {"MW101": ""}, {"MW101": {"a.*": None}}, {"101": "on purpose"}, {"MW101": 1}]
)
def test_an_ignored_finding_needs_a_code_and_a_reason(ignore: Any):
    with pytest.raises(mf.ForgeError) as caught:
        ignoring(ignore)
    assert [problem.code for problem in caught.value.problems] == ["MF014"]
