"""The warnings of planning among the rules: each has a page, and is found by its code."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import modelforge as mf
from modelforge.core.codes import CODES
from modelforge.linting.rule import RULES

ELSEWHERE = {
    "MW107": "linting/test_lint.py",
    "MW110": "config/test_in_place.py",
    "MW113": "modules/test_packed_projections.py",
}
"""Where what takes code or an override has its trigger and its near miss."""
PLANNED = {code: rule for code, rule in RULES.entries() if rule.planned}


def test_every_code_of_a_warning_has_a_page():
    assert {code for code in CODES if code.startswith("MW1")} == {*RULES.names()}
    without = {code for code, rule in RULES.entries() if not (rule.retired or (rule.bad and rule.good))}
    assert without == ELSEWHERE.keys()


@pytest.mark.parametrize(("code", "file"), ELSEWHERE.items())
def test_a_warning_that_no_config_shows_has_tests(code: str, file: str):
    assert f'"{code}"' in (Path(__file__).parents[2] / file).read_text(encoding="utf-8")


def test_a_warning_is_the_plans_and_found_by_its_code_alone():
    plan = mf.plan(mf.parse(yaml.safe_load(PLANNED["MW104"].bad)))
    assert {problem.code for problem in plan.warnings} == {"MW104"}
    assert mf.lint(plan, rules=["MW104"]) == plan.warnings
    assert mf.lint(plan, rules=["MW105", "MW101"]) == ()
    assert "MW104" not in {problem.code for problem in mf.lint(plan)}, "`plan.warnings` has it"


def test_a_warning_that_is_meant_is_left_out():
    config = yaml.safe_load(PLANNED["MW104"].bad)
    config["model"]["lint"] = {"ignore": {"MW104": {"aside": "read by a later version"}}}
    assert mf.lint(mf.plan(mf.parse(config)), rules=["MW104", "MW199"]) == ()
