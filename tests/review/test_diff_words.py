"""A diff in words: totals, layers, causes with their effects, and places."""

from __future__ import annotations

from typing import Any

import pytest

from modelforge.core.errors import Place
from modelforge.review.diff import diff
from modelforge.review.diff_words import both_places, change_words, layer_groups, layer_lines, total
from modelforge.review.values import ValueChange

HIDDEN = {"type": "Linear", "out_features": 4}


def test_totals_show_the_number_of_parameters_and_its_share(plan):
    found = diff(plan(hidden=HIDDEN), plan(hidden=HIDDEN, seed=1, head={"type": "Linear", "out_features": 2}))
    words = dict(map(total, found.totals))
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


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (1.0, 1.4, "gain 1 → 1.4"),
        (None, [1, 2], "gain - → [1, 2]"),
        (True, "auto", "gain true → auto"),
    ],
)
def test_a_change_is_written_with_both_sides(old: Any, new: Any, words: str):
    assert change_words(ValueChange("gain", old, new)) == words


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
