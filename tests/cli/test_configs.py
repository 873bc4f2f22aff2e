"""configs: which configs `check` and `lint` look at, and the forms of what they find."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.cli.check import check
from modelforge.cli.configs import choices, wanted
from modelforge.config.composition import Library
from modelforge.linting.rule import Found, register_rule, unregister_rule

CONF = Path(__file__).parent / "conf"


def test_choices_are_every_model_with_every_init():
    models, inits = ([path.stem for path in (CONF / group).iterdir()] for group in ("model", "init"))
    assert {*choices(CONF, [])} == {(f"model={model}", f"init={init}") for model in models for init in inits}


def test_a_group_that_is_chosen_is_fixed():
    assert {*choices(CONF, ["model=rnn"])} == {(f"init={path.stem}",) for path in (CONF / "init").iterdir()}
    assert choices(CONF, ["model=rnn", "init=orthogonal"]) == [()]


def test_without_every_there_is_one_config():
    assert wanted(CONF, ["model=rnn"], Library(), every=False, base_ref=None) == [()]


@pytest.mark.parametrize("form", ["sarif", "junit", "github", "gitlab"])
def test_a_rule_of_ones_own_is_known_to_other_tools(form: str):
    @register_rule("ACME101", title="a wide layer", why="Slow.", when="Always.", severity="warning")
    def wide(subject):
        yield Found("model", subject.parameters[0].path, "{} is wide", "make it smaller")

    assert wide is not None
    try:
        said = check(CONF, ["model=rnn"], every=False, form=form).text
    finally:
        unregister_rule("ACME101")
    assert isinstance(said, str)
    assert "ACME101" in said
    assert "a wide layer" in said or form != "sarif"
