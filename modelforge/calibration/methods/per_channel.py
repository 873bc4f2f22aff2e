"""Per-channel calibration: every output channel starts with mean 0 and variance 1 on the batch."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from modelforge.calibration.base import Calibration, Correction, Moments
from modelforge.calibration.registry import register_calibration


@register_calibration("per_channel")
class PerChannel(Calibration):
    """Scales and shifts each output channel of each layer to mean 0 and variance 1, as a batch norm would once.

    Formula: w_c ← w_c / σ_c and b_c ← (b_c - μ_c) / σ_c, with the mean μ_c and std σ_c of channel c
    Source: Salimans & Kingma 2016 (arXiv:1602.07868), section 3; Krähenbühl et al. 2016 (arXiv:1511.06856), algorithm 1
    """

    by_channel: ClassVar[bool] = True
    shifts: ClassVar[bool] = True

    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """How far the variance of a channel may stay from 1, and its mean from 0."""

    def correct(self, seen: Moments) -> Correction:
        """One factor and one shift for each channel."""
        factor = seen.variance.rsqrt()
        return Correction(factor, -seen.mean * factor)
