"""Memory is as asked for, whether or not the system takes the advice about large pages."""

from __future__ import annotations

import ctypes
import mmap
import sys

import pytest
import torch

from modelforge.core import memory

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


def test_what_is_free_is_the_least_that_anybody_grants(monkeypatch, tmp_path):
    for name, text in {"max": "5000\n", "current": "3000\n", "stat": "anon 1\ninactive_file 500\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.free(torch.device("cpu")) == 2500
    assert memory.free(torch.device("meta")) is None
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free(torch.device("cpu")) == memory._free_of_system()
