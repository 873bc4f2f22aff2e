"""Data sets of Hugging Face on disk."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from modelforge.train.data.read import read
from tests.train.tables import COLUMNS, csv, told

pytestmark = pytest.mark.usefixtures("here")


def test_hugging_face(monkeypatch: pytest.MonkeyPatch):
    class Dataset(dict):
        column_names = tuple(COLUMNS)
        data = SimpleNamespace(nbytes=1000)

    class DatasetDict(dict):
        pass

    datasets = ModuleType("datasets")
    folder = DatasetDict(train=Dataset(COLUMNS))
    monkeypatch.setattr(datasets, "DatasetDict", DatasetDict, raising=False)
    monkeypatch.setattr(datasets, "load_from_disk", lambda path: folder, raising=False)
    monkeypatch.setitem(sys.modules, "datasets", datasets)
    assert len(read(csv(type="hf", path=".", features=["b"], num_features=1)).test) == 4
    assert told(csv(type="hf", path=".", split="training")) == [
        ("data.split", "`.` has no split `training`", "did you mean `train`?")
    ]
    assert told(csv(type="hf", path=".", max_bytes=999)) == [
        (
            "data.max_bytes",
            "`.` takes 1,000 bytes, but `max_bytes` is 999",
            "if memory holds them: `data.max_bytes=1000`",
        )
    ]
