"""The nearest known names of a name that is not known."""

from __future__ import annotations

import pytest

from modelforge.core.suggestions import did_you_mean


def test_a_name_is_never_suggested_for_itself():
    assert did_you_mean("weights", ["weights", "weight"]) == "did you mean `weight`?"
    assert did_you_mean("weights", ["weights"]) == ""


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ReLu", "did you mean `ReLU` or `ELU`?"),
        ("x" * 300, ""),
        ("R", "known: `ELU`, `ReLU`"),
        ("zzz", "known: `ELU`, `ReLU`"),
        (3, "known: `ELU`, `ReLU`"),
    ],
)
def test_the_nearest_known_names_are_suggested_in_any_case(name: object, hint: str):
    assert did_you_mean(name, ["ReLU", "ELU"]) == hint


def test_a_short_form_is_the_beginning_of_a_name():
    assert did_you_mean("f1", ["FBetaScore", "F1ScoreOfAll", "F1Score"]) == "did you mean `F1Score` or `F1ScoreOfAll`?"
