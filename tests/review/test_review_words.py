"""A review in words: the verdict, what was compared, values by section, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelforge.review.compare import review
from modelforge.review.review_words import (
    arrivals,
    brief,
    compared,
    files,
    listed,
    models,
    pair,
    sections,
    sides,
    verdict,
    where_labels,
)
from modelforge.review.values import ABSENT
from tests.review.trees import edit


def test_the_verdict_of_equal_folders_counts_what_is_the_same(trees: Path):
    found = review("old", "conf")
    assert verdict(found).startswith("no difference: all 6 files are the same, and so are 2 parameters and ")
    assert (compared(found), sections(found), models(found), files(found)) == ([], {}, [], [])
    assert sides(found) == ("old", "conf")


def test_the_verdict_of_formatting_names_the_files(trees: Path):
    edit("conf/init/zeros.yaml", "scheme", "# none\nscheme")
    found = review("old", "conf")
    assert verdict(found) == (
        "no semantic change: init/zeros.yaml differs in formatting, comments or the order of keys"
    )
    assert files(found) == []


def test_a_file_that_no_composition_reads_differs_all_the_same(trees: Path):
    Path("conf/notes.txt").write_text("new\n")
    found = review("old", "conf")
    assert verdict(found) == "files differ, but no composition does"
    (line,) = files(found)
    assert (line.mark, line.path, line.words) == (
        "+",
        "notes.txt",
        "not compared: composition reads only .yaml files",
    )


def test_values_are_listed_by_section_once_for_equal_changes(trees: Path):
    edit("conf/config.yaml", "seed: 0", "seed: 1\nbatch: 8\noptimizer: {lr: 0.1}")
    found = review("old", "conf")
    rows = sections(found)
    assert list(rows) == ["model", "training", "other values"]
    assert [(row.name, row.words) for row in rows["model"]] == [("seed", "0 → 1, so every drawn value changes")]
    assert [(row.name, row.words) for row in rows["training"]] == [("optimizer.lr", "- → 0.1")]
    (batch,) = rows["other values"]
    assert "the default" in batch.labels
    assert where_labels(batch.labels, found) == "in all compositions"
    assert where_labels(["the default"], found) == "in the default"


def test_a_change_of_the_model_is_shown_once_with_its_compositions(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    found = models(review("old", "conf"))
    assert found[0].labels[0] == "the default"
    assert all(model.diff.parameters for model in found)


def test_compositions_of_one_side_are_arrivals(trees: Path):
    Path("conf/model/small.yaml").write_text("input: {shape: [8]}\nlayers: {a: {type: Linear, out_features: 2}}\n")
    Path("conf/init/zeros.yaml").unlink()
    edit("conf/model/deep.yaml", "out_features: 2", "out_features: many")
    found = {label: (mark, words) for mark, label, words in arrivals(review("old", "conf"))}
    assert found["model=small"] == ("+", "added: 1 layer, 18 parameters")
    assert found["init=zeros"] == ("-", "removed")
    assert found["model=deep"][0] == "!"
    assert found["model=deep"][1].startswith("cannot be planned on the new side: ")


def test_what_was_compared_is_counted(trees: Path):
    edit("conf/model/deep.yaml", "out_features: 2", "out_features: 3")
    (line,) = compared(review("old", "conf"))
    assert line.startswith("compared: 6 files, of which 1 differs; 2 compositions (the default and model=deep) with ")
    assert line.endswith("; 4 more do not read it")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [(1, 2, "1 → 2"), (True, "true", 'true → "true"'), (ABSENT, [1], "- → [1]"), (None, ABSENT, "null → -")],
)
def test_values_that_differ_in_type_alone_are_written_as_json(old: Any, new: Any, words: str):
    assert pair(old, new) == words


def test_long_values_and_long_rows_are_cut():
    assert len(brief("x" * 500)) == 59
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
