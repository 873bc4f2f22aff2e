"""Memory for parameters: what there is, and allocated once, in large pages where the system has them."""

from __future__ import annotations

import ctypes
import mmap
from functools import cache
from pathlib import Path
from typing import Any

import torch

_LARGE_PAGE = 2 << 20
"""Bytes. What holds no whole page of this size gains nothing from the advice."""
_GROUP = Path("/sys/fs/cgroup")
"""The control group that a container sees as its own (version 2)."""


def allocate(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Uninitialised memory. On Linux, large tensors ask for large pages: a first write is several times faster then.

    Raises:
        RuntimeError: there is not enough memory.
    """
    empty = torch.empty(shape, dtype=dtype, device=device)
    if empty.device.type == "cpu" and empty.nbytes >= 2 * _LARGE_PAGE:
        _ask_for_large_pages(empty)
    return empty


def free(device: torch.device) -> int | None:
    """Free bytes on a device; None where they are not known."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    known = [size for size in (_free_of_system(), _free_of_group()) if size is not None]
    return min(known, default=None) if device.type == "cpu" else None


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there was no memory left; torch's allocators have several for that."""
    said = ("can't allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError) or any(words in str(error) for words in said)


def _free_of_system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kibibytes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
    return (kibibytes["MemAvailable"] + kibibytes["SwapFree"]) << 10


def _free_of_group() -> int | None:
    """What a container, or a batch system, still allows; the pages of files that it counts can be given back."""
    try:
        most, used = ((_GROUP / f"memory.{name}").read_text(encoding="ascii") for name in ("max", "current"))
        facts = dict(line.split() for line in (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines())
    except OSError:
        return None
    return None if most.strip() == "max" else max(int(most) - int(used) + int(facts["inactive_file"]), 0)


def _ask_for_large_pages(tensor: torch.Tensor) -> None:
    """Advice: what it is worth is the system's to decide, and values are the same with and without."""
    if (advise := _madvise()) is not None:
        address = tensor.data_ptr()
        start = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        stop = (address + tensor.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        advise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), mmap.MADV_HUGEPAGE)


@cache
def _madvise() -> Any:
    """The C library's `madvise`, or None where there are no large pages to ask for."""
    return getattr(ctypes.CDLL(None), "madvise", None) if hasattr(mmap, "MADV_HUGEPAGE") else None
