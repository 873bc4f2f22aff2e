"""Memory for parameters: what there is, and allocated once, in large pages where the system has them."""

from __future__ import annotations

import mmap
from contextlib import suppress
from pathlib import Path

import torch

_LARGE_PAGE = 2 << 20
"""Bytes. What holds no whole page of this size gains nothing from the advice."""
_GROUP = Path("/sys/fs/cgroup")
"""The control group that a container sees as its own (version 2)."""


def allocate(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Uninitialised memory. On Linux, large tensors lie in large pages, if the system grants them: a first write is
    several times faster then. Their storage cannot be resized, as that of shared tensors.

    Raises:
        RuntimeError: there is not enough memory.
        MemoryError: the same, of the system's own.
    """
    num_bytes = shape.numel() * dtype.itemsize
    if device.type != "cpu" or num_bytes < 2 * _LARGE_PAGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.frombuffer(_large_pages(num_bytes), dtype=dtype, count=shape.numel()).view(shape)


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


def _large_pages(num_bytes: int) -> mmap.mmap:
    """Memory of the system's own, and the advice before anything is written. An allocator writes down sizes beside
    what it gives, and what has one small page keeps small ones: 2 MiB of each tensor. Without, neighbours share
    large pages.

    Raises:
        MemoryError: there is not enough.
    """
    try:
        pages = mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"{num_bytes:,} bytes cannot be allocated: {error}") from error
    with suppress(OSError):  # advice: what it is worth is the system's to decide
        pages.madvise(mmap.MADV_HUGEPAGE)
    return pages
