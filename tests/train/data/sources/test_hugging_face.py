"""Data sets of Hugging Face on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.train.data.read import read
from tests.train.tables import COLUMNS, csv, told

pytestmark = pytest.mark.usefixtures("here")
datasets = pytest.importorskip("datasets", reason="the extra `data`")
ONE = {"type": "hf", "path": "flowers", "features": ["b"], "num_features": 1}


def rows(first: int, end: int):
    return {name: values[first:end] for name, values in COLUMNS.items()}


def test_a_data_set_and_its_selections(here: Path):
    whole = datasets.Dataset.from_dict(COLUMNS)
    whole.select(range(29, -1, -1)).save_to_disk(str(here / "flowers"))
    examples = read(csv(**ONE, standardize=False))
    assert [len(examples.train), len(examples.test)] == [22, 4]
    assert examples.test.inputs[:, 0].tolist() == [29.0 - row for row in examples.fitted["rows"]["test"]]


def test_splits_are_used_as_they_are(here: Path):
    parts = {"train": rows(0, 20), "validation": rows(20, 25), "test": rows(25, 30)}
    folder = datasets.DatasetDict({name: datasets.Dataset.from_dict(part) for name, part in parts.items()})
    folder.save_to_disk(str(here / "flowers"))
    examples = read(csv(**ONE, standardize=False, val_split="validation", test_split="test"))
    assert examples.train.inputs[:, 0].tolist() == [*range(20)]
    assert examples.val.inputs[:, 0].tolist() == [*range(20, 25)]
    assert examples.test.inputs[:, 0].tolist() == [*range(25, 30)]
    assert told(csv(**ONE, split="training")) == [
        ("data.split", "`flowers` has no split `training`", "did you mean `train`?")
    ]
    assert told(csv(**ONE, test_split="tset"))[0][0] == "data.test_split"
    ((path, message, _),) = told(csv(**ONE, max_bytes=99))
    assert path == "data.max_bytes"
    assert message.startswith("`flowers` takes ")


def test_what_is_no_data_set(here: Path):
    (here / "flowers").mkdir()
    ((path, message, hint),) = told(csv(**ONE))
    assert path == "data.path"
    assert message.startswith("`flowers` is not a folder that `save_to_disk` wrote")
    assert hint == "write it with `dataset.save_to_disk(...)`"
