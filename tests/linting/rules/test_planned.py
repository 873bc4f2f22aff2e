"""The warnings of planning among the rules: each has a page, and is found by its code."""

from __future__ import annotations

import yaml

import modelforge as mf
from modelforge.core.codes import CODES
from modelforge.linting.rule import RULES

PLANNED = {code: rule for code, rule in RULES.entries() if rule.planned}


def test_every_code_of_a_warning_has_a_page():
    assert {code for code in CODES if code.startswith("MW1")} == {*RULES.names()}
    assert {code for code, rule in RULES.entries() if not rule.bad} == {"MW107", "MW110", "MW113"}, (
        "they take code or an override"
    )


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
