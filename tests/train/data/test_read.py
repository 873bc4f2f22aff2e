"""Reading a source, and what is checked of the machine before."""

from __future__ import annotations

import pytest

from modelforge.train.data.read import read
from tests.train.tables import csv, told

pytestmark = pytest.mark.usefixtures("here")


def test_so_many_workers_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("modelforge.train.data.read.num_cores", lambda: 2)
    assert told(csv(num_workers=10_000)) == [
        (
            "data.num_workers",
            "`num_workers` is 10,000, but this machine has 2 cores",
            "at most 16; 0 is best for what lies in memory",
        )
    ]
    assert read(csv(num_workers=16))
