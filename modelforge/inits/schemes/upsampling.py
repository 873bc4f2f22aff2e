"""Upsampling that starts as plain interpolation: bilinear for transposed convolutions, nearest for PixelShuffle."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Matrix
from modelforge.core.rng import split
from modelforge.inits.base import Fill, Moments
from modelforge.inits.fills import Whole
from modelforge.inits.gains.gain import Gain
from modelforge.inits.laws.law import Law
from modelforge.inits.matrices import num_rows_and_columns, outputs_first
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.identity import OneToOne
from modelforge.inits.schemes.variance_scaling import FanScaled


@register_initializer("bilinear")
class Bilinear(OneToOne):
    """Linear interpolation along each axis by a transposed convolution, each channel by itself.

    It interpolates by a stride of s = ⌊(k + 1) / 2⌋ for k taps, so other strides, and dilated kernels, are refused.

    Formula: W[i, o, x, ...] = δ_io · Π (1 - |x - c| / s) over the axes, with c = (k - 1) / 2
    Source: Long, Shelhamer and Darrell, Fully convolutional networks, CVPR 2015, arXiv:1411.4038, §3.3;
        `upsample_filt` in shelhamer/fcn.berkeleyvision.org, surgery.py
    """

    def kernel(self, matrix: Matrix) -> np.ndarray:
        taps = matrix.shape[2:]
        if not (taps and matrix.input_first):
            reason = "`bilinear` fills transposed convolutions, and this is none"
            raise Refusal(reason, "a plain convolution starts as the identity by `dirac`")
        strides = tuple((num_taps + 1) // 2 for num_taps in taps)
        shown = f"a kernel of {tuple(taps)} interpolates by a stride of {strides}"
        hint = "for a stride of s, `kernel_size` is 2·s - s % 2"
        if matrix.strides is None:
            # By the product of the layer's strides, fewer taps than there are meet in an output.
            stride = round(matrix.shape[0] * math.prod(taps) / matrix.fan_in) if math.prod(matrix.shape) else None
            if stride not in (None, math.prod(strides)):
                raise Refusal(f"{shown}, not by one of {stride} in all", hint)
        elif matrix.strides != strides:
            raise Refusal(f"{shown}, not by one of {matrix.strides}", hint)
        if any(dilation > 1 for dilation in matrix.dilations or ()):
            raise Refusal(f"{shown} without gaps, not with a dilation of {matrix.dilations}", "remove `dilation`")
        return reduce(np.multiply.outer, (_tent(*pair) for pair in zip(taps, strides, strict=True)))


@register_initializer("icnr")
class ICNR(FanScaled):
    """In front of PixelShuffle: the same kernel for all pixels that become one block, so no checkerboard.

    Formula: for each of C / r² kernels, r² equal copies in the order of PixelShuffle; Var w = gain² / fan_in
    Source: Aitken et al., Checkerboard artifact free sub-pixel convolution, arXiv:1707.02937
    """

    upscale_factor: Annotated[int, Field(ge=2, examples=[2])]
    """The `upscale_factor` r of the PixelShuffle that follows."""
    gain: Gain = "relu"
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""

    def resolve(self, matrix: Matrix) -> Fill:
        """The moments of the law, for a sample that is r² times smaller."""
        law, copies = self.law(matrix), self.upscale_factor**2
        if len(matrix.shape) != 4:
            reason = "`icnr` fills convolutions of images, as PixelShuffle reads them, and this is none"
            raise Refusal(reason, "use `kaiming`")
        if (rows := num_rows_and_columns(matrix)[0]) % copies:
            reason = f"{rows} output channels are not divisible by {copies} = `upscale_factor`²"
            raise Refusal(reason, "PixelShuffle needs r² channels for each that it makes")
        promise = replace(Moments.of(law), copies=copies, distinct_rows=False)
        numbers = {"upscale_factor": self.upscale_factor} | self.numbers(matrix)
        return Fill(promise, FrozenDict(numbers), Copied(matrix, law, copies))


@dataclass(frozen=True, slots=True)
class Copied(Whole):
    """Kernels of a law, so many equal ones side by side."""

    law: Law
    copies: int

    def fill(self, out: Tensor, generator: torch.Generator) -> None:
        copies = self._copies(out)
        kernels = torch.empty(len(copies), 1, *copies.shape[2:], dtype=out.dtype, device="cpu")
        self.law.draw_(kernels, split(generator))
        copies.copy_(kernels)

    def strays(self, values: Tensor) -> int:
        """What is not like the first of its copies."""
        copies = self._copies(values)
        return int((copies != copies[:, :1]).sum())

    def _copies(self, out: Tensor) -> Tensor:
        return outputs_first(out, self.matrix).unflatten(0, (-1, self.copies))


def _tent(num_taps: int, stride: int) -> np.ndarray:
    return 1 - np.abs(np.arange(num_taps) - (num_taps - 1) / 2) / max(stride, 1)
