"""The elementary schemes: constants, uniform, normal and truncated normal values with given numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from modelforge.core.complaints import WrongField
from modelforge.core.errors import Refusal
from modelforge.core.matrix import Matrix
from modelforge.inits.base import Elementwise
from modelforge.inits.fields import NonNegative, Real, Truncate
from modelforge.inits.laws.law import Constant, Law, Normal, Uniform
from modelforge.inits.laws.truncated_normal import TruncatedNormal
from modelforge.inits.registry import register_initializer


@register_initializer("constant")
class ConstantScheme(Elementwise):
    """The same value everywhere.

    Formula: w = value
    Source: elementary; on a weight, units stay equal as long as what reads them is equal too
    """

    value: Annotated[Real, Field(examples=[0.1])]
    """The value."""

    def law(self, matrix: Matrix) -> Law:
        return Constant(self.value)


@register_initializer("zeros")
class Zeros(Elementwise):
    """Zero everywhere.

    Formula: w = 0
    Source: elementary
    """

    def law(self, matrix: Matrix) -> Law:
        return Constant(0.0)


@register_initializer("ones")
class Ones(Elementwise):
    """One everywhere.

    Formula: w = 1
    Source: elementary
    """

    def law(self, matrix: Matrix) -> Law:
        return Constant(1.0)


@register_initializer("uniform")
class UniformScheme(Elementwise):
    """Equally likely values between two bounds.

    Formula: w ~ U(low, high), std = (high - low) / √12
    Source: elementary
    """

    low: Annotated[Real, Field(examples=[-0.1])]
    """Lower bound."""
    high: Annotated[Real, Field(examples=[0.1])]
    """Upper bound, greater than `low`."""

    def conflicts(self) -> Iterable[WrongField]:
        """The bounds the wrong way round, or equal."""
        if not self.low < self.high:
            message = f"must be greater than `low` ({self.low!r}), but is {self.high!r}"
            yield WrongField("high", message, "swap them, or choose `constant` for one value everywhere")

    def law(self, matrix: Matrix) -> Law:
        return Uniform(self.low, self.high)


@register_initializer("normal")
class NormalScheme(Elementwise):
    """Values of a normal law.

    Formula: w ~ N(mean, std²)
    Source: elementary
    """

    mean: Real = 0.0
    """Mean."""
    std: Annotated[NonNegative, Field(examples=[0.02])]
    """Standard deviation."""

    def law(self, matrix: Matrix) -> Law:
        return Normal(self.mean, self.std) if self.std else Constant(self.mean)


@register_initializer("truncated_normal")
class TruncatedNormalScheme(Elementwise):
    """Values of a normal law without its tails, corrected so that `std` is what comes out.

    Formula: w ~ N(mean, sigma²) cut to mean ± c·sigma, with c = truncate and
        sigma = std / √(1 - 2cφ(c) / (2Φ(c) - 1))
    Source: variance of the doubly truncated normal law. Keras, JAX and timm correct so in their variance scaling;
        torch's `trunc_normal_` does not, and its bounds are absolute and not in units of sigma
    """

    mean: Real = 0.0
    """Mean."""
    std: Annotated[NonNegative, Field(examples=[0.02])]
    """Standard deviation of the values that come out, not of the normal law before it is cut."""
    truncate: Truncate = 2.0
    """Where the law is cut, in units of its sigma before the cut."""

    def law(self, matrix: Matrix) -> Law:
        return TruncatedNormal.with_std(self.mean, self.std, self.truncate) if self.std else Constant(self.mean)


@register_initializer("prior_probability")
class PriorProbability(Elementwise):
    """A bias with which a sigmoid gives `prob` before anything is learned, as for rare positives.

    Formula: b = -ln((1 - prob) / prob); of two biases that add, the second is 0
    Source: Lin et al., Focal loss for dense object detection, ICCV 2017, arXiv:1708.02002, §4.1
    """

    prob: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """The probability of a positive."""

    def law(self, matrix: Matrix) -> Law:
        if len(matrix.shape) != 1:
            raise Refusal("`prior_probability` fills biases, but this is a weight", "move it below `bias:`")
        return Constant(0.0 if matrix.addend else math.log(self.prob) - math.log1p(-self.prob))
