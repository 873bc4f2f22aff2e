"""Config folders for tests, and edits of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelforge.review.compare import Effective
from modelforge.review.compare import review as review_pair
from modelforge.review.pair import open_sides
from modelforge.review.review import Review
from modelforge.review.sides import Side

CONF = Path(__file__).parents[2] / "conf"
"""The shipped configs."""
FILES = {
    "config.yaml": "defaults: [_self_, model: mlp, init: xavier, optional extra: null]\nseed: 0\n",
    "model/mlp.yaml": "input: {shape: [8]}\nlayers:\n  hidden: {type: Linear, out_features: 4}\n",
    "model/deep.yaml": "defaults: [mlp]\nlayers:\n  more: {type: Linear, out_features: 2}\n",
    "init/xavier.yaml": "scheme: xavier\ngain: 1.0\n",
    "init/zeros.yaml": "scheme: zeros\n",
    "extra/wide.yaml": "# @package _global_\nmodel: {layers: {hidden: {out_features: 16}}}\n",
}


def edit(path: str, old: str, new: str) -> None:
    """Replaces one text in a file of the working directory."""
    file = Path(path)
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def side(folder: str) -> Side:
    """A config folder of the working directory as one side."""
    return Side(folder, "folder", Path(folder), folder)


def review(
    old: str,
    new: str | None = None,
    overrides: Sequence[str] = (),
    further: Sequence[str] = (),
    effective: Effective = lambda values: {},
) -> Review:
    """Compares two sides by their names, as `modelforge diff` does, without a scan."""
    with open_sides(old, new, None, overrides) as pair:
        return review_pair(pair, further=further, effective=effective)
