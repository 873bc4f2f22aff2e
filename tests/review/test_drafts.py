"""Drafts: each cause once, with all that follows from it in the compositions that show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.review.diff import diff
from modelforge.review.drafts import Draft, drafts
from modelforge.review.starts import starts
from tests.review.trees import edit, review


def test_one_edit_that_many_compositions_show_is_one_draft(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    (draft,) = drafts(review("old", "conf"))
    assert {"the default", "model=deep"} <= set(draft.labels)
    assert draft.num_redrawn == 2
    assert draft.path == ("init", "gain")


def test_a_row_names_its_compositions_only_where_others_lack_it(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    (draft,) = drafts(review("old", "conf"))
    labels = {effect.name: labels for effect, labels in draft.shown()}
    assert labels["more.weight"] == ("model=deep",)
    assert "the default" in draft.labels


def test_values_that_follow_through_an_interpolation_are_rows(trees: Path):
    for folder in ("old", "conf"):
        edit(f"{folder}/config.yaml", "seed: 0", "seed: 0\nbatch: 8\ndata: {size: '${batch}'}")
    edit("conf/config.yaml", "batch: 8", "batch: 16")
    (draft,) = drafts(review("old", "conf"))
    assert draft.path == ("batch",)
    assert [(effect.name, effect.words) for effect, _ in draft.shown()] == [("data.size", "8 → 16")]


def test_a_package_in_front_of_the_key_of_a_file(trees: Path):
    edit("conf/extra/wide.yaml", "16", "32")
    (draft,) = drafts(review("old", "conf"))
    assert draft.path == ("model", "layers", "hidden", "out_features")
    assert list(draft.labels) == ["extra=wide"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_parameter_that_one_model_adds_and_another_draws_otherwise_counts_as_redrawn(plan, order: tuple[int, int]):
    linear = {"type": "Linear", "out_features": 4}
    changed = diff(plan(a=linear, b=linear), plan(a=linear, b={**linear, "init": "zeros"}))
    added = diff(plan(a=linear), plan(a=linear, b=linear))
    draft = Draft(())
    for index in order:
        draft.add([f"model={index}"], (), (), (changed, added)[index])
    assert draft.parameters == {"b.weight": "changed", "b.bias": "added"}
    assert draft.num_redrawn == 1


@pytest.mark.parametrize(
    ("init", "how"), [("identity", "renamed"), ("zeros", "renamed"), ("orthogonal", "redrawn"), ("xavier", "redrawn")]
)
def test_a_renamed_parameter_is_redrawn_where_its_values_depend_on_its_path(plan, init: str, how: str):
    linear = {"type": "Linear", "out_features": 8, "bias": False, "init": init}
    old, new = plan(a=linear), plan(b=linear)
    found = diff(old, new)
    draft = Draft(())
    draft.add(["the default"], (), (), found)
    assert draft.parameters == {"b.weight": how}
    assert draft.num_redrawn == len(starts(old, new, found).redrawn)


def test_nothing_differs_in_equal_folders(trees: Path):
    assert drafts(review("old", "conf")) == []
