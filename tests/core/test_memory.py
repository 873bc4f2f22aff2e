"""Memory is as asked for, whether or not the system takes the advice about large pages."""

from __future__ import annotations

import mmap
import pickle
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

from modelforge.core import memory

SHAPES = [(), (0, 3), (17,), (1 << 20,), (1025, 1031), (3 << 20,)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shape_and_type(shape, dtype):
    made = memory.allocate(torch.Size(shape), dtype, torch.device("cpu"))
    assert (made.shape, made.dtype, made.device.type) == (shape, dtype, "cpu")
    assert bool((made.fill_(1) == 1).all())


@pytest.mark.skipif(sys.platform != "linux", reason="large pages are asked for on Linux")
def test_neighbours_share_large_pages():
    made = [memory.allocate(torch.Size([3 << 20]), torch.float32, torch.device("cpu")).fill_(1.0) for _ in range(4)]
    areas = [area for area in _areas() if any(area[0] <= tensor.data_ptr() < area[1] for tensor in made)]
    assert all("hg" in flags for *_, flags in areas), "advised, before anything was written"
    for tensor in made:
        assert any(start <= tensor.data_ptr() and tensor.data_ptr() + tensor.nbytes <= stop for start, stop, _ in areas)


def _areas() -> list[tuple[int, int, list[str]]]:
    """Start, stop and flags of each area of this process's memory."""
    found: list[tuple[int, int, list[str]]] = []
    span = (0, 0)
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, *others = line.split()
        if first == "VmFlags:":
            found.append((*span, others))
        elif not first.endswith(":"):
            start, _, stop = first.partition("-")
            span = int(start, 16), int(stop, 16)
    return found


def test_systems_without_large_pages(monkeypatch):
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    made = memory.allocate(torch.Size([3 << 20]), torch.float32, torch.device("cpu"))
    assert made.untyped_storage().resizable()


@pytest.mark.skipif(sys.platform != "linux", reason="large pages are asked for on Linux")
def test_a_large_tensor_is_like_any_other():
    made = memory.allocate(torch.Size([1025, 1031]), torch.float32, torch.device("cpu")).normal_()
    assert (made.is_leaf, made.is_contiguous()) == (True, True)
    assert not nn.Parameter(made)._is_view()
    assert made.untyped_storage().nbytes() == made.nbytes
    assert torch.equal(pickle.loads(pickle.dumps(made)), made)
    copy = deepcopy(made)
    assert torch.equal(copy, made)
    assert copy.untyped_storage().resizable()
    values = made.clone()
    assert torch.equal(made.share_memory_(), values)
    weight = nn.Parameter(made)
    weight.square().sum().backward()
    torch.optim.SGD([weight], lr=0.5).step()
    assert not weight.detach().any()


@pytest.mark.skipif(sys.platform != "linux", reason="large pages are asked for on Linux")
def test_no_memory_is_an_error_that_is_known(monkeypatch):
    def refuse(*args: object, **rest: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(MemoryError, match="12,582,912 bytes cannot be allocated") as caught:
        memory.allocate(torch.Size([3 << 20]), torch.float32, torch.device("cpu"))
    assert memory.ran_out(caught.value)


# --- models that do not fit -------------------------------------------------------------------------------------------


def test_what_is_free_is_the_least_that_anybody_grants(monkeypatch, tmp_path):
    for name, text in {"max": "5000\n", "current": "3000\n", "stat": "anon 1\ninactive_file 500\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.free(torch.device("cpu")) == 2500
    assert memory.free(torch.device("meta")) is None
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free(torch.device("cpu")) == memory._free_of_system()
