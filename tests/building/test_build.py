"""build: a model that does not fit into memory is refused, and a built model is as planned."""

from __future__ import annotations

import importlib

import pytest
import torch

import modelforge as mf

BUILD = importlib.import_module("modelforge.building.build")  # the package has the function of that name


def planned(width: int) -> mf.Plan:
    layers = {"head": {"type": "Linear", "out_features": width, "bias": False}}
    return mf.plan(mf.parse({"input": {"shape": [width]}, "layers": layers}, init="xavier"))


def refusal(plan: mf.Plan, **options) -> mf.errors.Problem:
    with pytest.raises(mf.ForgeError) as caught:
        mf.build(plan, **options)
    [problem] = caught.value.problems
    assert (problem.code, problem.key) == ("MF060", "model")
    assert "`dtype=torch.bfloat16`" in problem.hint
    assert "`shard=`" in problem.hint
    return problem


def test_a_model_of_a_trillion_parameters_is_planned_and_not_built():
    plan = planned(10**6)
    assert plan.num_parameters == 10**12
    message = refusal(plan).message
    assert message.startswith("the model's parameters take 3,725.3 GiB on cpu, ")
    assert refusal(plan, dtype=torch.bfloat16).message.startswith("the model's parameters take 1,862.6 GiB on cpu, ")


def test_what_is_free_is_said(monkeypatch):
    monkeypatch.setattr(BUILD, "free", lambda device: 1 << 29)
    assert refusal(planned(1 << 14)).message == "the model's parameters take 1.0 GiB on cpu, but 0.5 GiB are free"
    assert mf.build(planned(8)).ledger.ok


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: ..."),
        torch.OutOfMemoryError("CUDA out of memory. ..."),
    ],
)
def test_memory_that_ends_while_building_is_a_problem_too(monkeypatch, error):
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr(BUILD, "allocate", fail)
    assert refusal(planned(1 << 14)).message == "the model's parameters take 1.0 GiB on cpu, which cannot be allocated"


def test_other_errors_stay_what_they_are(monkeypatch):
    def fail(*args: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(BUILD, "allocate", fail)
    with pytest.raises(RuntimeError, match="something else"):
        mf.build(planned(8))
