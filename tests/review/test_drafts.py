"""Drafts: each cause once, with all that follows from it in the compositions that show it."""

from __future__ import annotations

from pathlib import Path

from modelforge.review.compare import review
from modelforge.review.drafts import drafts
from tests.review.trees import edit


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


def test_nothing_differs_in_equal_folders(trees: Path):
    assert drafts(review("old", "conf")) == []
