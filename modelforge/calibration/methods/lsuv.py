"""LSUV: layer-sequential unit variance."""

from __future__ import annotations

from modelforge.calibration.base import Calibration, Correction, Moments
from modelforge.calibration.registry import register_calibration


@register_calibration("lsuv")
class LSUV(Calibration):
    """Divides each weight by the standard deviation of its layer's output, layer after layer.

    The paper starts from orthonormal weights: initialise with `orthogonal` first.

    Formula: w ← w / √Var(output) until |Var(output) - 1| < tolerance
    Source: Mishkin & Matas 2016 (arXiv:1511.06422), algorithm 1
    """

    def correct(self, seen: Moments) -> Correction:
        """One factor for the whole weight; the bias stays."""
        return Correction(seen.variance.rsqrt())
