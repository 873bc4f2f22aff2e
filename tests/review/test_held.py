"""What is shown of each of several edits is true of the new side."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.review.document import Document
from modelforge.review.documented import documented
from tests.review.trees import review

CONV = """\
input: {shape: [1, 8, 8]}
layers:
  conv: {type: Conv2d, out_channels: 4, kernel_size: 3, padding: 1}
  flat: Flatten
  head: {type: Linear, out_features: 3, init: {gain: 1.0, scheme: xavier}}
"""


def compared(*edits: tuple[str, str], init: str = "scheme: xavier\ngain: 1.0\n") -> Document:
    new = CONV
    for old, other in edits:
        assert old in new
        new = new.replace(old, other)
    Path("old/model/mlp.yaml").write_text(CONV, encoding="utf-8")
    Path("conf/model/mlp.yaml").write_text(new, encoding="utf-8")
    Path("conf/init/xavier.yaml").write_text(init, encoding="utf-8")
    for folder in ("old", "conf"):
        for option in ("model/deep", "extra/wide", "init/zeros"):
            Path(folder, f"{option}.yaml").unlink()
    return documented(review("old", "conf"))


def rows(document: Document) -> dict[str, list[str]]:
    """The names and shapes of the effects, by the title of their change."""
    return {
        one.title: [f"{effect.name} {effect.type}" for effect in one.effects]
        for one in document.changes
        if one.num_redrawn or one.cause
    }


def test_what_another_edit_takes_back_is_no_effect(trees: Path):
    document = compared(("kernel_size: 3, padding: 1", "kernel_size: 5, padding: 2"))
    assert rows(document) == {
        "model.layers.conv.kernel_size 3 → 5": ["conv Conv2d", "conv.weight 4×1×3×3 → 4×1×5×5"],
        "model.layers.conv.padding 1 → 2": ["conv Conv2d"],
    }
    assert document.verdict.startswith("1 layer changed, 1 parameter starts differently, +64 parameters")


def test_what_two_edits_do_to_one_parameter_is_shown_once(trees: Path):
    document = compared(("gain: 1.0, scheme: xavier", "gain: 2.0, scheme: kaiming"))
    (change,) = [one for one in document.changes if one.num_redrawn]
    assert change.title == "layers.head.init.gain and layers.head.init.scheme act together"
    (effect,) = change.effects
    assert (effect.new_std, effect.ratio) == pytest.approx((2 / 16, 2 / 16 / (2 / 259) ** 0.5), rel=1e-3)


def test_a_layer_that_comes_is_shown_as_it_starts(trees: Path):
    document = compared(
        ("  head", "  more: {type: Linear, out_features: 9}\n  head"), init="scheme: xavier\ngain: 3.0\n"
    )
    stds = [
        (effect.new_std, one.mark) for one in document.changes for effect in one.effects if effect.name == "more.weight"
    ]
    assert stds[0] == (pytest.approx(3 * (2 / (256 + 9)) ** 0.5), "+")
    assert not [one.title for one in document.changes if "act together" in one.title]


def test_each_edit_of_a_layer_has_a_row_of_its_own_and_its_output_is_said_once(trees: Path):
    document = compared(("kernel_size: 3, padding: 1", "kernel_size: 7, padding: 2"))
    found = {one.title: one for one in document.changes if one.effects}
    words = {title: [effect.words for effect in one.effects] for title, one in found.items()}
    both = "layers.conv.kernel_size and layers.conv.padding act together"
    assert words["model.layers.conv.padding 1 → 2"] == [""]
    assert words[both] == [
        "in_features 256 → 144",
        "fan 129.5 → 73.5",
        "output (4, 8, 8) → (4, 6, 6)",
        "output (256,) → (144,)",
    ]
    assert [effect.name for effect in found[both].effects if effect.subject == "parameter"] == ["head.weight"]
