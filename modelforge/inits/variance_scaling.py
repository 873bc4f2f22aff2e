"""Variance scaling: the one core of Xavier, Kaiming and LeCun, which differ in their defaults only."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from modelforge.inits.base import Elementwise
from modelforge.inits.block import Block
from modelforge.inits.fields import Distribution, FanMode, Positive
from modelforge.inits.gains import Gain, resolve_gain
from modelforge.inits.laws import Constant, Law, Normal, TruncatedNormal, Uniform
from modelforge.inits.matrices import require_matrix
from modelforge.inits.messages import WrongField
from modelforge.inits.registry import register_initializer


class VarianceScaling(Elementwise):
    """Independent weights of mean zero and Var w = gain² / n, with n the fans that `mode` names."""

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""
    mode: FanMode = "fan_in"
    """What n is: inputs, outputs, their arithmetic or their geometric mean."""
    distribution: Distribution = "normal"
    """The law; the variance is the same for each."""
    truncate: Positive = 2.0
    """Where a `truncated_normal` is cut, in units of its sigma before the cut."""

    def conflicts(self) -> Iterable[WrongField]:
        """A `truncate` that would be ignored."""
        if "truncate" in self.model_fields_set and self.distribution != "truncated_normal":
            hint = "only `distribution: truncated_normal` is cut; if it is inherited, give a `scheme` here"
            yield WrongField("truncate", f"must be left out, as `distribution` is `{self.distribution}`", hint)

    def law(self, block: Block) -> Law:
        """The law whose variance is gain² / n."""
        require_matrix(block, self.scheme, "fans are not defined for it")
        fan = self._fan(block)
        if not fan:
            return Constant(0.0)
        std = resolve_gain(self.gain, block).value / math.sqrt(fan)
        match self.distribution:
            case "uniform":
                return Uniform(-math.sqrt(3) * std, math.sqrt(3) * std)
            case "normal":
                return Normal(0.0, std)
            case "truncated_normal":
                return TruncatedNormal(0.0, std, self.truncate)

    def numbers(self, block: Block) -> dict[str, Any]:
        """The gain as a number and where it comes from, the fans, and the one that counts."""
        numbers = resolve_gain(self.gain, block).numbers() | {
            "mode": self.mode,
            "fan": self._fan(block),
            "fan_in": block.fan_in,
            "fan_out": block.fan_out,
            "distribution": self.distribution,
        }
        return numbers | ({"truncate": self.truncate} if self.distribution == "truncated_normal" else {})

    def _fan(self, block: Block) -> float:
        match self.mode:
            case "fan_in":
                return block.fan_in
            case "fan_out":
                return block.fan_out
            case "fan_avg":
                return (block.fan_in + block.fan_out) / 2
            case "fan_geo":
                return math.sqrt(block.fan_in * block.fan_out)


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
