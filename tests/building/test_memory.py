"""Memory is as asked for, whether or not the system takes the advice about large pages."""

from __future__ import annotations

import ctypes
import importlib
import mmap
import sys

import pytest
import torch

import modelforge as mf
from modelforge.core import memory

BUILD = importlib.import_module("modelforge.building.build")  # the package has the function of that name
SHAPES = [(), (0, 3), (17,), (1 << 20,), (1025, 1031), (3 << 20,)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shape_and_type(shape, dtype):
    made = memory.allocate(torch.Size(shape), dtype, torch.device("cpu"))
    assert (made.shape, made.dtype, made.device.type) == (shape, dtype, "cpu")
    assert bool((made.fill_(1) == 1).all())


@pytest.mark.skipif(sys.platform != "linux", reason="large pages are asked for on Linux")
def test_the_advice_is_whole_pages_inside_the_tensor(monkeypatch):
    asked: list[tuple[int, int, int]] = []
    real = memory._madvise()

    def advise(start: ctypes.c_void_p, length: ctypes.c_size_t, advice: int) -> None:
        asked.append((start.value or 0, length.value, advice))
        assert real(start, length, advice) == 0

    monkeypatch.setattr(memory, "_madvise", lambda: advise)
    assert memory.allocate(torch.Size([1000]), torch.float32, torch.device("cpu")).numel() == 1000
    assert not asked
    made = memory.allocate(torch.Size([(5 << 20) + 3]), torch.uint8, torch.device("cpu"))
    [(start, length, advice)] = asked
    assert start % mmap.PAGESIZE == length % mmap.PAGESIZE == 0
    assert made.data_ptr() <= start
    assert start + length <= made.data_ptr() + made.nbytes
    assert advice == mmap.MADV_HUGEPAGE


def test_systems_without_large_pages(monkeypatch):
    monkeypatch.setattr(memory, "_madvise", lambda: None)
    assert memory.allocate(torch.Size([3 << 20]), torch.float32, torch.device("cpu")).numel() == 3 << 20


# --- models that do not fit -------------------------------------------------------------------------------------------


def planned(width: int) -> mf.Plan:
    layers = {"head": {"type": "Linear", "out_features": width, "bias": False}}
    return mf.plan(mf.parse({"input": {"shape": [width]}, "layers": layers}, init="xavier"))


def refusal(plan: mf.Plan, **options) -> mf.errors.Problem:
    with pytest.raises(mf.ForgeError) as caught:
        mf.build(plan, **options)
    [problem] = caught.value.problems
    assert (problem.code, problem.path) == ("MF060", "model")
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


def test_what_is_free_is_the_least_that_anybody_grants(monkeypatch, tmp_path):
    for name, text in {"max": "5000\n", "current": "3000\n", "stat": "anon 1\ninactive_file 500\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.free(torch.device("cpu")) == 2500
    assert memory.free(torch.device("meta")) is None
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free(torch.device("cpu")) == memory._free_of_system()
