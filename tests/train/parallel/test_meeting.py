"""How processes find each other, and what they say of their end: two meetings in one process."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from modelforge.core.errors import ForgeError, Problem
from modelforge.train.parallel import meeting as module
from modelforge.train.parallel.meeting import Failure, Meeting
from modelforge.train.parallel.place import Place
from modelforge.train.parallel.team import ALONE, Order

FIRST = Place(0, 2, 0, 0, "127.0.0.1", 0, "modelforge", hosts=True)


@pytest.fixture
def both() -> tuple[Meeting, Meeting]:
    first = Meeting(FIRST)
    return first, Meeting(replace(FIRST, rank=1, local_rank=1, port=first.port))


def test_the_others_get_what_is_to_be_trained(both: tuple[Meeting, Meeting]):
    first, second = both
    order = Order({"model": {"layers": {}}, "optimizer": {"lr": float("inf")}}, "/runs/Æ", ("mine",), ("/a",))
    first.give(order)
    assert second.take() == order


def test_the_first_learns_why_another_ended(both: tuple[Meeting, Meeting]):
    first, second = both
    assert [*first.failures()] == []
    problem = Problem("MF052", "optimizer.lr", "training diverged", "lower it", part="key")
    second.fail(Failure(1, (problem,)))
    assert [*first.failures()] == [Failure(1, (problem,))]


def test_one_that_does_not_come(both: tuple[Meeting, Meeting], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PATIENCE", module.PATIENCE * 0)
    with pytest.raises(ForgeError) as caught:
        both[0].meet(torch.device("cpu"), sharded=False)
    (problem,) = caught.value.problems
    assert problem.message == "process 1 of 2 did not come within 0 minutes"


def test_one_that_failed_is_not_waited_for(both: tuple[Meeting, Meeting]):
    class Gone(Exception):
        pass

    def check() -> None:
        raise Gone

    with pytest.raises(Gone):
        both[0].meet(torch.device("cpu"), sharded=False, check=check)


def test_one_process_agrees_with_itself():
    assert ALONE.leads
    assert ALONE.any(True)
    assert not ALONE.any(False)
    assert ALONE.greatest(3) == 3
    assert ALONE.mean(0.5) == 0.5
    assert ALONE.gathered("a") == ["a"]
