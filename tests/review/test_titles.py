"""Titles: an edit, how it was made, and what follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.core.errors import Place
from modelforge.review.drafts import Draft, drafts
from modelforge.review.titles import consequences, follows, head, kind_of
from tests.review.trees import edit, review


def only() -> Draft:
    (draft,) = drafts(review("old", "conf"))
    return draft


@pytest.mark.parametrize(
    ("path", "old", "new", "kind", "title"),
    [
        ("model/mlp.yaml", "4", "16", "layers-changed", ("model.layers.hidden.out_features", "4 → 16")),
        ("init/xavier.yaml", "1.0", "2.0", "init-changed", ("init.gain", "1 → 2")),
        ("config.yaml", "seed: 0", "seed: 1", "seed-changed", ("seed", "0 → 1")),
        ("config.yaml", "seed: 0", "seed: 0\nbatch: 1", "setting-changed", ("batch", "added: 1")),
        ("config.yaml", "init: xavier", "init: zeros", "init-chosen", ("init", "xavier → zeros")),
        ("model/deep.yaml", "more:", "last:", "layer-renamed", ("model.layers.last", "was `more`")),
    ],
)
def test_each_kind_of_edit(trees: Path, path: str, old: str, new: str, kind: str, title: tuple[str, str]):
    edit(f"conf/{path}", old, new)
    draft = only()
    assert (kind_of(draft), head(draft)) == (kind, title)


def test_a_package_that_a_file_names(trees: Path):
    edit("conf/init/zeros.yaml", "scheme", "# @package model.init\nscheme")
    draft = only()
    assert head(draft) == ("package of init/zeros.yaml", "added: model.init")
    assert draft.edit is not None
    assert draft.edit.change.new_place == Place("conf/init/zeros.yaml", line=1)


def test_steps_in_another_order(trees: Path):
    for folder, text in (("old", "{flip: Flip, crop: {type: Crop}}"), ("conf", "{crop: {type: Crop}, flip: Flip}")):
        edit(f"{folder}/config.yaml", "seed: 0", f"seed: 0\ndata: {{augment: {text}}}")
    draft = only()
    assert (kind_of(draft), head(draft)) == ("data-changed", ("data.augment", "crop now first"))


def test_a_layer_that_is_added(trees: Path):
    edit("conf/model/deep.yaml", "layers:\n", "layers:\n  act: ReLU\n")
    draft = only()
    assert kind_of(draft) == "layer-added"
    assert head(draft) == ("model.layers.act", "added: ReLU")
    assert follows(draft) == "1 layer added, 1 layer changed"


def test_nothing_follows_from_an_edit_of_a_setting(trees: Path):
    edit("conf/config.yaml", "seed: 0", "seed: 0\nbatch: 1")
    assert follows(only()) == ""


def test_consequences_are_counted_by_kind():
    assert consequences({"a": "changed", "b": "changed"}, {"a.w": "changed"}) == [
        "2 layers changed",
        "1 parameter starts differently",
    ]
    assert consequences({}, {}) == []
