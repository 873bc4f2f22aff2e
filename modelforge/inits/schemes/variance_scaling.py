"""Variance scaling: the one place where fans become a variance; Xavier, Kaiming and LeCun differ in their defaults."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from modelforge.core.complaints import WrongField
from modelforge.core.matrix import Matrix
from modelforge.inits.base import Elementwise, Initializer
from modelforge.inits.fields import Distribution, FanMode, Truncate, centred
from modelforge.inits.gains.gain import Gain, resolve_gain
from modelforge.inits.laws.law import Law
from modelforge.inits.matrices import require_matrix
from modelforge.inits.registry import register_initializer


class FanScaled(Initializer):
    """The core: a law of mean zero and Var w = gain² / n, with n the fans that `mode` names."""

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""
    mode: FanMode = "fan_in"
    """What n is: inputs, outputs, their arithmetic or their geometric mean."""
    distribution: Distribution = "normal"
    """The law; the variance is the same for each."""
    truncate: Truncate = 2.0
    """Where a `truncated_normal` is cut, in units of its sigma before the cut."""

    def conflicts(self) -> Iterable[WrongField]:
        """A `truncate` that would be ignored."""
        if "truncate" in self.model_fields_set and self.distribution != "truncated_normal":
            hint = "only `distribution: truncated_normal` uses it; if it is inherited, give a `scheme` here"
            yield WrongField("truncate", f"must be left out, as `distribution` is `{self.distribution}`", hint)

    def law(self, matrix: Matrix) -> Law:
        require_matrix(matrix, self.scheme, "fans are not defined for it")
        fan = self._fan(matrix)
        std = resolve_gain(self.gain, matrix).value / math.sqrt(fan) if fan else 0.0
        return centred(std, self.distribution, self.truncate)

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        numbers = resolve_gain(self.gain, matrix).numbers() | {
            "mode": self.mode,
            "fan": self._fan(matrix),
            "fan_in": matrix.fan_in,
            "fan_out": matrix.fan_out,
            "distribution": self.distribution,
        }
        return numbers | ({"truncate": self.truncate} if self.distribution == "truncated_normal" else {})

    def _fan(self, matrix: Matrix) -> float:
        match self.mode:
            case "fan_in":
                return matrix.fan_in
            case "fan_out":
                return matrix.fan_out
            case "fan_avg":
                return (matrix.fan_in + matrix.fan_out) / 2
            case "fan_geo":
                return math.sqrt(matrix.fan_in * matrix.fan_out)


@register_initializer("variance_scaling")
class VarianceScaling(FanScaled, Elementwise):
    """Independent weights whose variance the fans decide: Xavier, Kaiming and LeCun with other defaults.

    Formula: Var w = gain² / n, with n = fan_in, fan_out, (fan_in + fan_out) / 2 or √(fan_in · fan_out)
    Source: `VarianceScaling` in Keras and `variance_scaling` in JAX, whose `scale` is gain²
    """


@register_initializer("xavier", aliases=("glorot",))
class Xavier(VarianceScaling):
    """Keeps the variance of activations and of gradients about equal through linear layers.

    Formula: Var w = gain² · 2 / (fan_in + fan_out); uniform: w ~ U(-a, a), a = gain·√(6 / (fan_in + fan_out))
    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010,
        eq. 16
    """

    mode: FanMode = "fan_avg"
    """What n is: inputs, outputs, their arithmetic or their geometric mean."""
    distribution: Distribution = "uniform"
    """The law; the variance is the same for each."""


@register_initializer("kaiming", aliases=("he",))
class Kaiming(VarianceScaling):
    """Keeps the second moment through layers followed by a ReLU (or by what `gain` names).

    Formula: Var w = gain² / fan_in, with gain² = 2 for a ReLU
    Source: He, Zhang, Ren and Sun, Delving deep into rectifiers, ICCV 2015, arXiv:1502.01852, eq. 10 (fan_in) and 14
        (fan_out); they draw normal values
    """

    gain: Gain = "relu"
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""


@register_initializer("lecun")
class LeCun(VarianceScaling):
    """Keeps the variance through linear layers; with SELU, the start of self-normalising networks.

    Formula: Var w = gain² / fan_in
    Source: LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998, eq. 16; Klambauer et al., arXiv:1706.02515
    """


class Preset(Elementwise):
    """A name for a variance scaling with other fields, or none."""

    @abstractmethod
    def same_as(self) -> VarianceScaling:
        """The variance scaling that it stands for."""

    @abstractmethod
    def fans(self, matrix: Matrix) -> tuple[float, float]:
        """fan_in and fan_out as its library counts them.

        Raises:
            Refusal: the library has nothing of this kind.
        """

    def law(self, matrix: Matrix) -> Law:
        return self.same_as().law(self._counted(matrix))

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        return self.model_dump() | self.same_as().numbers(self._counted(matrix))

    def _counted(self, matrix: Matrix) -> Matrix:
        require_matrix(matrix, self.scheme, "fans are not defined for it")
        fan_in, fan_out = self.fans(matrix)
        return replace(matrix, fan_in=float(fan_in), fan_out=float(fan_out))
