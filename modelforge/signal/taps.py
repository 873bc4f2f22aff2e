"""`Taps`: which positions the taps of a sliding window read along one dimension, and what padding leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from modelforge.core.frozen import FrozenDict
from modelforge.signal.shape import fading
from modelforge.signal.value import Profile


@dataclass(frozen=True, slots=True)
class Taps:
    """Windows along one dimension."""

    size: int
    """Positions that are read."""
    windows: int
    """Positions that are made."""
    kernel: int
    stride: int
    padding: int
    dilation: int
    mode: str = "zeros"

    @property
    def reads(self) -> np.ndarray:
        """The position that each tap of each window reads; -1 for padding."""
        return _reads(self)

    def forward(self, energy: np.ndarray) -> np.ndarray:
        """The mean energy over the taps of each window, padding as 0."""
        reads = self.reads
        return np.where(reads < 0, 0.0, energy[reads]).mean(axis=1)

    def backward(self, energy: np.ndarray) -> np.ndarray:
        """For each position the energies of all windows that read it, added up."""
        reads = self.reads
        kept = reads >= 0
        weights = np.broadcast_to(energy[:, None], reads.shape)[kept]
        return np.bincount(reads[kept], weights=weights, minlength=self.size)

    @property
    def overlap(self) -> bool:
        """Whether two windows read one position."""
        return bool((self.backward(np.ones(self.windows)) > 1).any())

    @property
    def reach(self) -> float:
        """The share of taps that read the signal in both of two windows."""
        return float(((self.reads >= 0).mean(axis=0) ** 2).mean())

    @property
    def reach_square(self) -> float:
        """The mean over pairs of windows of the square of the share of taps that read the signal in both."""
        kept = (self.reads >= 0).astype(float)
        return float(((kept.T @ kept / self.windows) ** 2).mean())

    @property
    def read(self) -> float:
        """The number of taps that read the signal, a mean over windows."""
        return float((self.reads >= 0).sum(axis=1).mean())

    @property
    def apart(self) -> float:
        """The number of taps that two windows compare: those that read the signal in both."""
        shares = (self.reads >= 0).mean(axis=0)
        return float(shares.sum() ** 2 / (shares**2).sum()) if shares.any() else 1.0

    def alike(self, near: float) -> float:
        """The share of pairs of taps that read the same, the more often the nearer they are."""
        apart = np.abs(np.subtract.outer(np.arange(self.kernel), np.arange(self.kernel))) * self.dilation
        return float(fading(near, apart).mean())

    @property
    def spill(self) -> float:
        """The number of taps through which two positions both reach windows."""
        kept = (self.reads >= 0).sum(axis=0) / self.size
        return float((kept**2).sum())


@lru_cache(maxsize=512)
def _reads(taps: Taps) -> np.ndarray:
    starts = _starts(taps)[:, None]
    places = starts + np.arange(taps.kernel) * taps.dilation
    if taps.mode == "adaptive":
        ends = -((-(np.arange(taps.windows)[:, None] + 1) * taps.size) // taps.windows)
        return np.where(places < ends, places, -1)
    last = taps.size - 1
    if taps.mode == "circular":
        return places % taps.size
    if taps.mode == "replicate":
        return places.clip(0, last)
    if taps.mode == "reflect":
        places = np.abs(places)
        return np.where(places > last, 2 * last - places, places)
    return np.where((places < 0) | (places > last), -1, places)


def _starts(taps: Taps) -> np.ndarray:
    """The position at which each window begins."""
    places = np.arange(taps.windows)
    if taps.mode == "adaptive":
        return places * taps.size // taps.windows
    if taps.mode == "fractional":  # at random; here, as regularly as whole numbers allow
        return places * (taps.size - taps.kernel) // max(1, taps.windows - 1)
    return places * taps.stride - taps.padding


def widest(size: int, count: int) -> int:
    """The largest of `count` windows that cover `size` positions."""
    places = np.arange(count)
    return int((-((-(places + 1) * size) // count) - places * size // count).max())


def taps_of(arguments: Mapping[str, Any], sizes: Sequence[int], windows: Sequence[int]) -> tuple[Taps, ...]:
    """The taps of a convolution or a pool, a dimension each."""
    rank = len(sizes)
    kernel = spread(arguments["kernel_size"], rank)
    stride = spread(arguments.get("stride") or arguments["kernel_size"], rank)
    dilation = spread(arguments.get("dilation", 1), rank)
    padding = arguments.get("padding", 0)
    if padding == "same":
        pads = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
    else:
        pads = spread(0 if padding == "valid" else padding, rank)
    mode = arguments.get("padding_mode", "zeros")
    return tuple(
        Taps(size, made, taps, step, pad, apart, mode)
        for size, made, taps, step, pad, apart in zip(sizes, windows, kernel, stride, pads, dilation, strict=True)
    )


def spread(value: Any, rank: int) -> tuple[int, ...]:
    """A number for each dimension, where one stands for all."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * rank


def along_each(taps: Sequence[Taps], profile: Profile, *, back: bool = False) -> tuple[float, Profile]:
    """The factor on the energy that windows make or send back, and the profile of what they make."""
    factors: list[float] = []
    shapes: dict[int, np.ndarray] = {}
    for axis, one in enumerate(taps, start=2):
        energy = profile.get(axis, np.ones(one.windows if back else one.size))
        made = one.backward(energy) if back else one.forward(energy)
        mean = float(made.mean())
        factors.append(mean)
        if mean > 0 and not np.allclose(made, mean, rtol=1e-9):
            shapes[axis] = made / mean
    return prod(factors), FrozenDict(shapes)
