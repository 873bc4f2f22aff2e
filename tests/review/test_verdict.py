"""The verdict: one line that says what a change does, or what was looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.review.documented import documented
from modelforge.review.verdict import percent, times
from tests.review.trees import edit, review


def verdict() -> str:
    return documented(review("old", "conf")).verdict


def test_of_equal_folders_it_counts_what_is_the_same(trees: Path):
    assert verdict().startswith("no difference: all 6 files are the same, and so are 2 parameters and ")


def test_of_formatting_it_names_the_files(trees: Path):
    edit("conf/init/zeros.yaml", "scheme", "# none\nscheme")
    assert verdict() == "no semantic change: init/zeros.yaml differs in formatting, comments or the order of keys"


def test_a_file_that_no_composition_reads_differs_all_the_same(trees: Path):
    Path("conf/notes.txt").write_text("new\n")
    assert verdict() == "files differ, but no composition does"


def test_a_wider_layer(trees: Path):
    edit("conf/model/mlp.yaml", "4", "16")
    found = verdict()
    assert found.startswith(
        "2 layers changed, 3 parameters start differently, the number of parameters differs in 3 comp"
    )
    assert found.endswith(", old checkpoints of 3 compositions do not load as they are")


def test_one_model_that_is_not_the_default(trees: Path):
    edit("conf/model/deep.yaml", "out_features: 2", "out_features: 3")
    load = "old checkpoint: 2 of 4 keys load"
    assert verdict() == f"1 layer changed, 2 parameters start differently, +5 parameters (+11 %) in model=deep, {load}"


def test_the_learning_rate_is_named_with_its_factor(trees: Path):
    edit("old/config.yaml", "seed: 0", "seed: 0\noptimizer: {lr: 0.001, type: adam}\nbatch: 8")
    edit("conf/config.yaml", "seed: 0", "seed: 0\noptimizer: {lr: 0.015, type: sgd}\nbatch: 9")
    assert verdict() == "learning rate ×15, 1 training setting differs, 1 other setting differs"


def test_options_that_come_and_go_and_break(trees: Path):
    Path("conf/model/small.yaml").write_text("input: {shape: [8]}\nlayers: {a: {type: Linear, out_features: 2}}\n")
    Path("conf/init/zeros.yaml").unlink()
    edit("conf/model/deep.yaml", "out_features: 2", "out_features: many")
    assert verdict() == "1 model setting differs, 1 model added, 1 option removed, 1 composition broken"


@pytest.mark.parametrize(("share", "words"), [(0.5, "+50 %"), (-0.5, "-50 %"), (0.001, "+0.1 %"), (12.0, "+1,200 %")])
def test_a_share_in_percent(share: float, words: str):
    assert percent(share) == words


def test_a_factor_has_three_digits():
    assert (times(15.0), times(1 / 3), times(1e6)) == ("×15", "×0.333", "×1e+06")
