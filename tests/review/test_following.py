"""What follows from all edits together: costs, old checkpoints, warnings, the length of a training."""

from __future__ import annotations

from pathlib import Path

import yaml

from modelforge.review.document import Change
from modelforge.review.following import following, remedy
from modelforge.review.old_checkpoint import OldCheckpoint
from tests.review.trees import edit, review


def found(kind: str) -> list[Change]:
    return [change for change in following(review("old", "conf")) if change.kind == kind]


def test_costs_in_total_and_by_layer(trees: Path):
    edit("conf/model/deep.yaml", "out_features: 2", "out_features: 3")
    (change,) = found("costs-changed")
    assert change.title == "parameters 46 → 51 (+11 %), FLOPs 80 → 88 (+10 %)"
    assert [row.name for row in change.effects] == ["more"]
    assert change.entries == ("model=deep",)


def test_a_layer_whose_activations_are_not_known_is_named(trees: Path):
    edit("conf/model/deep.yaml", "layers:\n", "layers:\n  norm: {type: BatchNorm1d, momentum: null}\n")
    (change,) = found("costs-changed")
    assert change.title.endswith("; bytes of activations are not known of `norm`")
    assert [row.words for row in change.effects if row.name == "norm"] == [
        "parameters 0 → 8, bytes of activations 0 → ?"
    ]


def test_an_old_checkpoint_that_loads_by_a_rename(trees: Path):
    edit("conf/model/deep.yaml", "more:", "last:")
    (change,) = found("checkpoint-keys")
    assert change.title == "old checkpoint: 2 of 4 keys load, 2 more by renames"
    assert change.follows == "`weights: {rename: {more: last}}` loads what fits"
    assert [(row.mark, row.name, row.words) for row in change.effects] == [
        (">", "more.weight", "is now last.weight"),
        (">", "more.bias", "is now last.bias"),
    ]


def checkpoint(names: int) -> OldCheckpoint:
    rename = {f"blocks.{{n}}.branch{index}": f"blocks.{{n}}.mlp{index}" for index in range(names)}
    renamed = {f"blocks.0.branch{index}": f"blocks.0.mlp{index}" for index in range(names)}
    return OldCheckpoint((), renamed, (), (), (), {"rename": rename, "skip": ["*.bias"]})


def test_the_section_that_is_shown_is_yaml():
    words = remedy(checkpoint(60))
    assert len(words) > 500
    assert yaml.safe_load(words.split("`")[1]) == {"weights": checkpoint(60).weights}


def test_a_section_without_room_is_counted():
    assert remedy(checkpoint(1_000)) == "a `weights` section with 1,000 renames and 1 name to skip loads what fits"


def test_keys_that_are_lost_missing_or_reshaped(trees: Path):
    edit("conf/model/deep.yaml", "more: {type: Linear, out_features: 2}", "last: {type: Linear, out_features: 3}")
    (change,) = found("checkpoint-keys")
    assert {row.mark for row in change.effects} == {"+", "~"}


def test_a_checkpoint_of_which_nothing_fits(trees: Path):
    edit("conf/model/mlp.yaml", "out_features: 4", "out_features: 16")
    (deep,) = (change for change in found("checkpoint-keys") if change.entries == ("model=deep",))
    (wider,) = (change for change in found("checkpoint-keys") if "the default" in change.entries)
    assert (wider.title, wider.follows) == ("old checkpoint: 0 of 2 keys load", "nothing in it fits the new model")
    assert (deep.title, deep.follows[:9]) == ("old checkpoint: 1 of 4 keys load", "`weights:")


def test_a_checkpoint_that_loads_as_it_is_is_not_mentioned(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    assert found("checkpoint-keys") == found("costs-changed") == []


def test_a_warning_that_appears(trees: Path):
    edit("conf/init/xavier.yaml", "scheme: xavier\ngain: 1.0", "scheme: ones")
    changes = found("finding-new")
    assert any(change.title.startswith("MW101") for change in changes)
    assert all(change.section == "model" for change in changes)


def test_nothing_follows_from_nothing(trees: Path):
    assert list(following(review("old", "conf"))) == []


def test_a_note_that_appears(trees: Path):
    edit("conf/init/xavier.yaml", "gain: 1.0", "gain: 1e-6")
    changes = found("note-new")
    assert changes
    assert {change.severity for change in changes} == {"info"}
