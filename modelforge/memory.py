"""Memory for parameters: allocated once, in large pages where the system has them."""

from __future__ import annotations

import ctypes
import mmap
from functools import cache
from typing import Any

import torch

_LARGE_PAGE = 2 << 20
"""Bytes. What holds no whole page of this size gains nothing from the advice."""


def allocate(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Uninitialised memory. On Linux, large tensors ask for large pages: a first write is several times faster then.

    Raises:
        RuntimeError: there is not enough memory.
    """
    empty = torch.empty(shape, dtype=dtype, device=device)
    if empty.device.type == "cpu" and empty.nbytes >= 2 * _LARGE_PAGE:
        _ask_for_large_pages(empty)
    return empty


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
