"""How processes find each other, and what they say of their end: two meetings in one process."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from modelforge.core.errors import ForgeError, Problem
from modelforge.train.parallel import rendezvous as module
from modelforge.train.parallel.launch import Launch
from modelforge.train.parallel.rendezvous import Failure, Rendezvous
from modelforge.train.parallel.world import SINGLE_PROCESS, RunSpec

FIRST = Launch(0, 2, 0, 0, "127.0.0.1", 0, "modelforge", hosts_store=True)


@pytest.fixture
def both() -> tuple[Rendezvous, Rendezvous]:
    first = Rendezvous(FIRST)
    return first, Rendezvous(replace(FIRST, rank=1, local_rank=1, master_port=first.port))


def test_the_others_get_what_is_to_be_trained(both: tuple[Rendezvous, Rendezvous]):
    first, second = both
    spec = RunSpec({"model": {"layers": {}}, "optimizer": {"lr": float("inf")}}, "/runs/Æ", ("mine",), ("/a",))
    first.publish(spec)
    assert second.receive() == spec


def test_the_first_learns_why_another_ended(both: tuple[Rendezvous, Rendezvous]):
    first, second = both
    assert [*first.failures()] == []
    problem = Problem("MF052", "optimizer.lr", "training diverged", "lower it", part="key")
    second.report(Failure(1, (problem,)))
    assert [*first.failures()] == [Failure(1, (problem,))]


def test_one_that_does_not_come(both: tuple[Rendezvous, Rendezvous], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "RANK_TIMEOUT", module.RANK_TIMEOUT * 0)
    with pytest.raises(ForgeError) as caught:
        both[0].join(torch.device("cpu"), sharded=False)
    (problem,) = caught.value.problems
    assert problem.message == "process 1 of 2 did not come within 0 minutes"


def test_one_that_failed_is_not_waited_for(both: tuple[Rendezvous, Rendezvous]):
    class Gone(Exception):
        pass

    def check() -> None:
        raise Gone

    with pytest.raises(Gone):
        both[0].join(torch.device("cpu"), sharded=False, check=check)


def test_one_process_agrees_with_itself():
    assert SINGLE_PROCESS.is_rank_zero
    assert SINGLE_PROCESS.any(True)
    assert not SINGLE_PROCESS.any(False)
    assert SINGLE_PROCESS.max(3) == 3
    assert SINGLE_PROCESS.mean(0.5) == 0.5
    assert SINGLE_PROCESS.gather("a") == ["a"]
