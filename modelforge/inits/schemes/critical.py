"""Critical weights and biases: deep networks on the edge of chaos, where gradients neither vanish nor explode."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from modelforge.core.complaints import WrongField
from modelforge.core.errors import Refusal
from modelforge.core.matrix import Activation, Matrix
from modelforge.inits.base import Elementwise
from modelforge.inits.fields import Distribution, Positive, Truncate
from modelforge.inits.gains.activations import find_activation
from modelforge.inits.gains.gain import ActivationName, backward_gain_of, next_activation
from modelforge.inits.gains.statistics import statistics
from modelforge.inits.laws.law import Constant, Law, Normal
from modelforge.inits.matrices import require_matrix
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.variance_scaling import VarianceScaling


@dataclass(frozen=True, slots=True)
class CriticalPoint:
    """Weights N(0, sigma_w²/fan_in) and biases N(0, sigma_b²) that keep the variance q and the size of gradients."""

    activation: str
    q: float
    sigma_w: float
    sigma_b: float
    variance_slope: float
    """V'(q): by how much a layer multiplies a small error of the variance; above 1 it grows with depth."""


@register_initializer("critical", aliases=("edge_of_chaos",))
class Critical(Elementwise):
    """The edge of chaos for the layer's activation φ: the variance q of its inputs and the size of gradients stay the
    same from layer to layer.

    Weights and biases belong together: `{scheme: critical, bias: {scheme: critical}}`, with the same `q`. Where V'(q),
    the `variance_slope` among the numbers, is above 1 (GELU and SiLU at q = 1), the variance drifts away from q with
    depth. Of two biases that add up, the second is zero.

    Formula: w ~ N(0, σ_w²/fan_in) and b ~ N(0, σ_b²) with σ_w² = 1/E φ'(√q·z)² and σ_b² = q - σ_w²·E φ(√q·z)²
    Source: Schoenholz, Gilmer, Ganguli and Sohl-Dickstein, Deep information propagation, arXiv:1611.01232; Hayou,
        Doucet and Rousseau, arXiv:1902.06853
    """

    activation: ActivationName = "auto"
    """`auto` (what follows in the graph), or an activation's name, as in `LeakyReLU(0.2)`."""
    q: Positive = 1.0
    """Variance of what goes into the activation, kept from layer to layer."""
    distribution: Distribution = "normal"
    """The law of the weights; biases are normal."""
    truncate: Truncate = 2.0
    """Where a `truncated_normal` is cut, in units of its sigma before the cut."""

    def conflicts(self) -> Iterable[WrongField]:
        """A `truncate` that would be ignored."""
        return self._scaling(1.0).conflicts()

    def law(self, matrix: Matrix) -> Law:
        point = self._point(matrix)
        if not _is_bias(matrix):
            return self._scaling(point.sigma_w).law(matrix)
        return Normal(0.0, point.sigma_b) if point.sigma_b and not matrix.addend else Constant(0.0)

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        point = self._point(matrix)
        return ({} if _is_bias(matrix) else self._scaling(point.sigma_w).numbers(matrix)) | asdict(point)

    def _point(self, matrix: Matrix) -> CriticalPoint:
        if not _is_bias(matrix):
            require_matrix(matrix, "critical", "it is not a bias, and fans are not defined for it")
        if self.activation != "auto":
            return critical_point(find_activation(self.activation), self.q)
        follower = next_activation(matrix, "`activation: auto`", "`activation` a name")
        return critical_point(follower or Activation("none", nn.Identity()), self.q)

    def _scaling(self, gain: float) -> VarianceScaling:
        law = self.model_dump(include={"distribution", "truncate"}, exclude_unset=True)
        return VarianceScaling.model_construct(gain=gain, **law)


def critical_point(activation: Activation, q: float = 1.0) -> CriticalPoint:
    """σ_w and σ_b on the edge of chaos, χ1 = 1, at the fixed point `q`.

    >>> point = critical_point(find_activation("tanh"))
    >>> round(point.sigma_w**2, 5), round(point.sigma_b**2, 5), round(point.variance_slope, 3)
    (2.1533, 0.15096, 0.391)

    Raises:
        Refusal: no bias makes `q` a fixed point, or φ has no second moment or no derivative.
    """
    sigma_w = backward_gain_of(activation, q)
    found = statistics(activation, q)
    bias = q - sigma_w**2 * found.second_moment
    if bias < -1e-9 * q:
        reason = f"{activation.name} has no critical point at q = {q:g}: σ_b² would be {bias:.4g}"
        raise Refusal(reason, "try another `q`, or `lecun` with `gain: auto`, which keeps the forward signal only")
    # Rounding alone must not make a bias.
    sigma_b = math.sqrt(bias) if bias > 1e-9 * q else 0.0
    return CriticalPoint(activation.name, q, sigma_w, sigma_b, sigma_w**2 * found.slope)


def _is_bias(matrix: Matrix) -> bool:
    return matrix.role == "bias" or (matrix.role is None and len(matrix.shape) < 2)
