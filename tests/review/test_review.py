"""What a review holds: compositions, files, and whether anything differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelforge.review.changed_files import FileDiff
from modelforge.review.review import EntryDiff, FileNote
from modelforge.review.values import ValueChange
from tests.review.trees import edit, review

CHANGE = ValueChange("seed", 0, 1, path=("seed",))


@pytest.mark.parametrize(
    ("fields", "equal"),
    [
        ({"same_model": True}, True),
        ({"same_model": True, "values": (CHANGE,)}, False),
        ({"broken": "both"}, True),
        ({"broken": "new"}, False),
        ({"same_model": True, "kind": "added"}, False),
        ({}, False),
    ],
)
def test_an_entry_is_equal_where_values_and_model_are(fields: dict[str, Any], equal: bool):
    assert EntryDiff(**{"label": "a", "kind": "changed", **fields}).equal is equal


@pytest.mark.parametrize(
    ("path", "reason", "equal"),
    [
        (".gitignore", "", True),
        (".github/a.yml", "no config", True),
        ("notes.txt", "no config", False),
        ("a.yaml", "", False),
    ],
)
def test_a_hidden_file_that_is_no_config_is_no_difference(path: str, reason: str, equal: bool):
    assert FileNote(FileDiff(path, "added", None, None), reason).equal is equal


def test_comments_alone_are_no_difference(trees: Path):
    edit("conf/init/xavier.yaml", "gain: 1.0", "gain:   1.0  # as in the paper")
    found = review("old", "conf")
    assert found.equal
    assert [note.file.path for note in found.files] == ["init/xavier.yaml"]
    assert found.not_compared == ()


def test_a_review_is_plain_data(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    Path("conf/notes.txt").write_text("new\n")
    data = json.loads(json.dumps(review("old", "conf").to_dict()))
    assert (data["old"], data["new"], data["equal"]) == ("old", "conf", False)
    assert data["compared"]["compositions"][0] == "the default"
    assert [note["path"] for note in data["not_compared"]] == ["notes.txt"]
    assert data["parameters"] == data["compositions"][0]["model"]["parameters"] != []
