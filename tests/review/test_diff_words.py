"""A diff in words: totals, layers, causes with their effects, and places."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf
from modelforge.core.errors import Place
from modelforge.review.diff import diff
from modelforge.review.diff_words import both_places, causes, change_words, layer_groups, layer_lines, summary, totals
from modelforge.review.model_changes import Change

HIDDEN = {"type": "Linear", "out_features": 4}


def test_totals_show_the_number_of_parameters_and_its_share(plan):
    found = totals(diff(plan(hidden=HIDDEN), plan(hidden=HIDDEN, seed=1, head={"type": "Linear", "out_features": 2})))
    words = {name: change for name, change, _ in found}
    assert words["parameters"] == "36 → 46 (+10, +27.8 %)"
    assert words["seed"] == "0 → 1, so every drawn value changes"
    assert words["output"] == "(4,) → (2,)"
    assert words["last layer"] == "hidden → head"


def test_layers_inside_of_one_that_was_added_are_left_out(plan):
    block = {"type": "Sequential", "layers": {"a": HIDDEN, "b": HIDDEN}}
    (group,) = layer_groups(diff(plan(one=HIDDEN), plan(block=block, one=HIDDEN)).layers[:3])
    assert group.first.path == "block"
    assert layer_lines(group.first) == [("output (4,), holds 2 layers", "")]


def test_arguments_of_the_old_type_are_left_out(plan):
    (layer,) = diff(plan(act={"type": "LeakyReLU", "negative_slope": 0.2}), plan(act="ReLU")).layers
    assert [words for words, _ in layer_lines(layer)] == ["type LeakyReLU → ReLU"]


def test_parameters_are_grouped_by_what_makes_them_differ(plan):
    init = {"scheme": "orthogonal", "gain": 2.0}
    layers = {"hidden": HIDDEN, "head": {"type": "Linear", "out_features": 2}}
    (cause,) = causes(diff(plan(**layers), plan(init, **layers)).parameters)
    assert [words for words, _ in cause.lines] == ["gain 1 → 2"]
    assert [(effect.label, effect.ratio) for effect in cause.effects] == [
        ("hidden.weight", "×2"),
        ("head.weight", "×2"),
    ]


def test_a_wider_layer_has_the_same_rule_and_other_fans(plan):
    found = causes(diff(plan("xavier", hidden=HIDDEN), plan("xavier", hidden={**HIDDEN, "out_features": 8})).parameters)
    (effect,) = next(cause.effects for cause in found if cause.effects[0].label == "hidden.weight")
    assert effect.shape == "4×8 → 8×8"
    assert found[0].lines[0][0].startswith("the same rule, other fans")


def test_another_dtype_has_the_same_rule():
    raw = {"model": {"input": {"shape": [3]}, "layers": {"hidden": HIDDEN}}, "init": "xavier"}
    old, new = (mf.plan(mf.parse({**raw, **more})) for more in ({}, {"dtype": "bfloat16"}))
    (cause,) = causes(diff(old, new).parameters)
    assert [words for words, _ in cause.lines] == ["the same rule, as bfloat16 in place of float32"]


def test_the_summary_counts_each_kind(plan):
    assert summary(diff(plan(hidden=HIDDEN), plan(hidden=HIDDEN))) == "2 unchanged"
    found = summary(diff(plan(hidden=HIDDEN), plan({"scheme": "orthogonal", "gain": 2.0}, hidden=HIDDEN)))
    assert found == "1 parameter changed (1 with another std), 1 unchanged"
    found = summary(diff(plan(hidden=HIDDEN), plan(hidden=HIDDEN, head=HIDDEN)))
    assert found == "1 layer differs, 2 parameters added, 2 unchanged"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (1.0, 1.4, "gain 1 → 1.4"),
        (None, [1, 2], "gain - → [1, 2]"),
        (True, "auto", "gain true → auto"),
    ],
)
def test_a_change_is_written_with_both_sides(old: Any, new: Any, words: str):
    assert change_words(Change("gain", old, new)) == words


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (Place("a.yaml", 2), None, "a.yaml:2"),
        (None, None, ""),
        (Place("a.yaml", 2), Place("a.yaml", 2), "a.yaml:2"),
        (Place("a.yaml", 2), Place(override="a=1"), "a.yaml:2 → override a=1"),
        (Place("a.yaml", 2, via=Place("b.yaml", 1)), Place("a.yaml", 3), "a.yaml:2 from b.yaml:1 → a.yaml:3"),
    ],
)
def test_two_places_are_written_as_shortly_as_is_clear(old: Place | None, new: Place | None, words: str):
    assert both_places(old, new) == words
