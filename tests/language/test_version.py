"""The version of the language that a config says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelforge.core.errors import ForgeError
from modelforge.language import parse
from modelforge.language.version import KEY, VERSION, check_version

MODEL = {"input": {"shape": [4]}, "layers": {"head": {"type": "Linear", "out_features": 2}}}


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (VERSION + 1, "pip install --upgrade modelforge"),
        (0, "run `modelforge upgrade`, and read what it changes"),
        (-1, f"write `modelforge: {VERSION}`"),
        (True, f"write `modelforge: {VERSION}`"),
        ("1", f"write `modelforge: {VERSION}`"),
        (1.0, f"write `modelforge: {VERSION}`"),
        (None, f"write `modelforge: {VERSION}`"),
    ],
)
def test_another_version_is_refused(said: Any, hint: str):
    with pytest.raises(ForgeError) as caught:
        parse({KEY: said, "model": MODEL})
    (problem,) = caught.value.problems
    assert (problem.code, problem.key, problem.hint) == ("MF161", KEY, hint)


def test_the_present_version_and_none_at_all_are_the_same():
    assert parse({KEY: VERSION, "model": MODEL}) == parse({"model": MODEL})
    assert not [*check_version({})]


def test_what_ships_says_the_present_version():
    config = (Path(__file__).parents[2] / "conf" / "config.yaml").read_text(encoding="utf-8")
    assert f"\n{KEY}: {VERSION}\n" in config
