"""What a review says of predicted signals."""

from __future__ import annotations

from pathlib import Path

from modelforge.review.document import Change
from modelforge.review.documented import documented
from modelforge.review.signal_words import signals
from tests.review.trees import edit, review


def found() -> list[Change]:
    return list(signals(review("old", "conf")))


def test_one_change_for_all_compositions_with_the_worst_layer_of_each(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "10.0")
    (change,) = found()
    assert change.title == "predicted energy of signals ×10,000, of gradients ×100"
    assert "model=deep" in change.entries
    assert [(row.name, row.words, row.entries) for row in change.effects if "model=deep" in row.entries] == [
        ("more", "E x² 1.8 → 1.8e+04, ×10,000, the most of 2 layers; first in hidden, ×100", ("model=deep",)),
        ("hidden", "E g² 0.67 → 67, ×100", ("model=deep",)),
    ]


def test_a_signal_that_ends(trees: Path):
    edit("conf/init/xavier.yaml", "scheme: xavier\ngain: 1.0", "scheme: zeros")
    (change,) = found()
    assert change.title.startswith("predicted energy of signals to 0")


def test_it_is_part_of_the_verdict(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "10.0")
    verdict = documented(review("old", "conf")).verdict
    assert verdict == "2 parameters start differently, predicted energy of signals ×10,000, of gradients ×100"


def test_a_change_that_leaves_the_signal_alone(trees: Path):
    edit("conf/config.yaml", "seed: 0", "seed: 1")
    assert found() == []


def test_the_rows_of_the_title_come_first(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "10.0")
    (change,) = found()
    assert "×10,000" in change.effects[0].words
    assert all("×10,000" not in row.words for row in change.effects[1:])
