"""Drawing: a key and a transform → values in memory, by the compiled loops where they are loaded, else by NumPy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import numpy as np
import torch

from modelforge.core.rng import Key
from modelforge.inits.laws.seen import Seen, in_single
from modelforge.inits.laws.transforms import LARGEST, UNBOUNDED, UNIT, Transform

COMPILE_FROM: Final = 1 << 26
"""How many values are drawn at once where loading the compiled loops, some 0.4 s in each process, begins to pay."""


def draw_(
    out: np.ndarray,
    key: Key,
    transform: Transform,
    numbers: Any,
    bounds: tuple[np.float32, np.float32] = UNBOUNDED,
    moments: tuple[float, float] | None = None,
) -> Seen | None:
    """Fills a flat float32 array: value i is `transform` of word i of the key, clipped, however many follow.

    Returns:
        What a compiled loop saw of the values, about these moments (mean, std); None where there is none of either.
    """
    if (compiled := loaded()) is not None and (loop := compiled.loop(transform)) is not None:
        return compiled.draw_(loop, out, key, numbers, bounds, moments if moments and in_single(*moments) else None)
    start = 0
    for piece in key.words(len(out)):
        np.clip(transform(piece, numbers), *bounds, out=out[start : start + len(piece)])
        start += len(piece)
    return None


def draw_doubles_(out: np.ndarray, key: Key, values: Callable[[Any, Any], Any], bounds: tuple[float, float]) -> None:
    """Fills a flat float64 array: value i is `values` of x in (-1, 1) and 1 - |x|, clipped, however many follow.

    x is that of the float32 values, to 64 bits: where a word stands for an interval, a second one says
    where in it. So a parameter in float64 is the one in float32 with more digits.
    """
    start = 0
    for word, finer in zip(key.words(len(out)), key.sub("finer").words(len(out)), strict=True):
        # In (0, 1), from below for positive words and from above for negative ones, so that nothing cancels.
        share = (finer + 0.5) * 2.0**-32 + 0.5
        magnitude = word ^ (word >> 31)
        size = (magnitude + share) * UNIT
        rest = ((LARGEST - magnitude) + (1 - share)) * UNIT
        np.clip(values(np.where(word < 0, -size, size), rest), *bounds, out=out[start : start + len(word)])
        start += len(word)


def look(values: torch.Tensor, mean: float, std: float | None) -> Seen | None:
    """What compiled loops see of flat values; None where there are none that can read these."""
    readable = values.dtype == torch.float32 and values.device.type == "cpu" and values.is_contiguous()
    compiled = loaded() if readable else None
    return compiled.look(values.numpy(), mean, std) if compiled is not None and in_single(mean, std) else None


def expect(count: int) -> None:
    """Prepares for so many values: loads the compiled loops where they save time and are installed."""
    if count >= COMPILE_FROM:
        # Not installed, not for this NumPy, or nowhere to keep what it compiles: the bits are the same without it.
        with suppress(ImportError, RuntimeError):
            from modelforge.inits.laws import compiled as compiled


def loaded() -> Any:
    """`modelforge.inits.laws.compiled` if `expect` has found it worth loading, else None."""
    return sys.modules.get("modelforge.inits.laws.compiled")
