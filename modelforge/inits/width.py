"""Width-aware schemes: initial values and the learning rates that belong to them, so that what was tuned on a narrow
model holds for a wide one.

A scheme of this kind states in its numbers by what the learning rate of each parameter is to be multiplied; training
makes optimizer groups of that (`optimizer.mup=true`).
"""

from __future__ import annotations

from math import sqrt
from typing import Any, Literal

from pydantic import PositiveInt

from modelforge.inits.base import CannotServe, Elementwise
from modelforge.inits.block import Block
from modelforge.inits.fields import Positive
from modelforge.inits.laws import Constant, Law, Normal
from modelforge.inits.registry import register_initializer

LEARNING_RATE = "learning_rate_multiplier"
"""The name, among a parameter's numbers, of what its learning rate is multiplied by."""

Optimizer = Literal["adam", "sgd"]
Position = Literal["auto", "input", "hidden", "output"]


@register_initializer("mup")
class MuP(Elementwise):
    """Maximal update parametrisation: width changes neither what is learned nor the best learning rate.

    Weights: input and hidden 1 / √fan_in, output another √m smaller, with m = width / base_width. At the base width all
    is as in `lecun`. Below `bias:` it gives zeros with the learning rate of biases. Training follows the rates where
    `optimizer.mup` is true; weight decay that is multiplied by the rate is divided by the same, and so stays as asked.

    Formula: std = gain / √fan_in, for the output gain / √(m·fan_in); learning rates for Adam: 1, 1/m, 1/m (input and
        biases, hidden, output); for SGD: m, 1, 1/m
    Source: Yang et al., Tensor programs V, arXiv:2203.03466, table 3
    """

    width: PositiveInt
    """Width of this model."""
    base_width: PositiveInt
    """Width of the model that was tuned."""
    gain: Positive = 1.0
    """Factor for all weights."""
    optimizer: Optimizer = "adam"
    """Whose learning rates are stated."""
    position: Position = "auto"
    """Which row of the table counts, or `auto`: by what the plan knows."""

    def law(self, block: Block) -> Law:
        """N(0, std²), and zeros for biases."""
        if len(block.shape) < 2 or not block.fan_in:
            return Constant(0.0)
        m = self.width / self.base_width if self._row(block) == "output" else 1.0
        return Normal(0.0, self.gain / sqrt(m * block.fan_in))

    def numbers(self, block: Block) -> dict[str, Any]:
        """The row of the table, the ratio of widths, and the multiplier of the learning rate."""
        row, m = self._row(block), self.width / self.base_width
        rates = {"input": 1.0, "hidden": 1 / m, "output": 1 / m}
        if self.optimizer == "sgd":
            rates = {"input": m, "hidden": 1.0, "output": 1 / m}
        return {
            "gain": self.gain,
            "position": row,
            "width_ratio": m,
            "optimizer": self.optimizer,
            LEARNING_RATE: rates[row],
        }

    def _row(self, block: Block) -> str:
        if self.position != "auto":
            return self.position
        if len(block.shape) < 2 or block.role == "embedding":
            return "input"
        context = block.context
        if context is None or context.reads_input is None or context.gives_output is None:
            reason = "`mup` treats input, hidden and output weights apart, and no graph is known here"
            raise CannotServe(reason, "say which they are in `params`: `position: hidden`")
        return "output" if context.gives_output else "input" if context.reads_input else "hidden"


@register_initializer("spectral")
class Spectral(Elementwise):
    """Weights whose spectral norm is about √(fan_out / fan_in), so that features and their updates keep their size.

    Formula: std = gain / √fan_in · min(1, √(fan_out / fan_in)); learning rate times fan_out / fan_in (SGD) or
        1 / fan_in (Adam)
    Source: Yang, Simon and Bernstein, A spectral condition for feature learning, arXiv:2310.17813, §3
    """

    gain: Positive = 1.0
    """Factor for all weights."""
    optimizer: Optimizer = "adam"
    """Whose learning rates are stated."""

    def law(self, block: Block) -> Law:
        """N(0, std²)."""
        if len(block.shape) < 2:
            hint = "give vectors a scheme of their own, as in `bias: zeros`"
            raise CannotServe("`spectral` needs a matrix, but this is a vector", hint)
        if not block.fan_in or not block.fan_out:
            return Constant(0.0)
        return Normal(0.0, self.gain / sqrt(block.fan_in) * min(1.0, sqrt(block.fan_out / block.fan_in)))

    def numbers(self, block: Block) -> dict[str, Any]:
        """The fans and the multiplier of the learning rate."""
        rate = (1.0 if self.optimizer == "adam" else block.fan_out) / max(block.fan_in, 1.0)
        return {
            "gain": self.gain,
            "fan_in": block.fan_in,
            "fan_out": block.fan_out,
            "optimizer": self.optimizer,
            LEARNING_RATE: rate,
        }
