"""Width-aware schemes: initial values and the learning rates that belong to them, so that what was tuned on a narrow
model holds for a wide one.

A scheme of this kind states in its numbers by what the learning rate of each parameter is to be multiplied; training
makes optimizer groups of that (`optimizer.mup=true`).
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Context, Matrix
from modelforge.inits.base import Elementwise
from modelforge.inits.fields import Positive
from modelforge.inits.laws.law import Constant, Law, Normal
from modelforge.inits.registry import register_initializer

LEARNING_RATE = "learning_rate_multiplier"
"""The name, among a parameter's numbers, of what its learning rate is multiplied by."""

Optimizer = Literal["adam", "sgd"]
Position = Literal["auto", "input", "hidden", "output", "fixed"]


@register_initializer("mup")
class MuP(Elementwise):
    """Maximal update parametrisation: width changes neither what is learned nor the best learning rate.

    The sides of a matrix that grow with the width decide its row of the table: outputs alone for input weights, inputs
    alone for output weights, both for hidden ones. Tables, depthwise kernels and layers that read a single number count
    as input; where neither side grows (a bias or a norm after the last weights) nothing changes with m. Declare a
    layer of fixed size in the middle: `params: {bottleneck.weight: {position: output}}`; the `position` of a bias is
    that of its layer.

    Weights: input and hidden 1 / √fan_in, output another √m smaller, with m = width / base_width. At the base width all
    is as in `lecun`. Below `bias:` it gives zeros and below `scale:` ones, with the learning rates that belong to them;
    SGD needs these. Training follows the rates where `optimizer.mup` is true; weight decay that is multiplied by the
    rate is divided by the same, and so stays as asked. Attention divides its scores by the head size in place of its
    root where heads grow with the width.

    A tied table is an input and an output at once: values of size `gain` and an input's rates are right if the model
    multiplies what its head reads by 1 / m (layer `Rescale`); `position: input` says that it does.

    Formula: std = gain / √fan_in, for the output gain / √(m·fan_in); learning rates for Adam: input, biases and norms
        1, hidden 1/m, output 1/m; for SGD: input, biases and norms m, hidden 1, output 1/m; what does not grow 1
    Source: Yang et al., Tensor programs V, arXiv:2203.03466, table 3 (table 8 for tied tables); which of them applies
        as in the authors' package `mup`
    """

    width: Annotated[PositiveInt, Field(examples=[1024])]
    """Width of this model."""
    base_width: Annotated[PositiveInt, Field(examples=[256])]
    """Width of the model that was tuned."""
    gain: Positive = 1.0
    """Factor for all weights."""
    optimizer: Optimizer = "adam"
    """Whose learning rates are stated."""
    position: Position = "auto"
    """Which row of the table counts, or `auto`: by what the plan knows."""

    def law(self, matrix: Matrix) -> Law:
        row = self._row(matrix)
        if matrix.role == "scale":
            return Constant(1.0 if matrix.default is None else matrix.default)
        if len(matrix.shape) < 2 or not matrix.fan_in:
            return Constant(0.0)
        fan_in = 1.0 if matrix.tied else matrix.fan_in
        return Normal(0.0, self.gain / sqrt(self._ratio * fan_in if row == "output" else fan_in))

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        row, m = self._row(matrix), self._ratio
        adam = {"input": 1.0, "vector": 1.0, "hidden": 1 / m, "output": 1 / m, "fixed": 1.0}
        sgd = {"input": m, "vector": m, "hidden": 1.0, "output": 1 / m, "fixed": 1.0}
        return {
            "gain": self.gain,
            "position": row,
            "width_ratio": m,
            "optimizer": self.optimizer,
            LEARNING_RATE: (adam if self.optimizer == "adam" else sgd)[row],
        }

    @property
    def _ratio(self) -> float:
        return self.width / self.base_width

    def _row(self, matrix: Matrix) -> str:
        if matrix.tied and self.position == "auto":
            reason = "it is a table and, tied, an output too, which `mup` treats apart"
            hint = "leave it out of `tie`; or multiply what the head reads by base_width / width (layer `Rescale`), "
            raise Refusal(reason, hint + "and say so: `position: input`")
        return self._row_of_vectors(matrix) if _is_vector(matrix) else self._row_of_matrix(matrix)

    def _row_of_vectors(self, matrix: Matrix) -> str:
        """A vector, or a table of vectors: what grows is their length."""
        if self.position != "auto":
            fixed, table = self.position in ("output", "fixed"), matrix.role == "embedding"
            return "fixed" if fixed else "input" if table else "vector"
        if matrix.role == "embedding":
            return "fixed" if _is_fixed(matrix.context) else "input"
        if prod(matrix.shape) == 1 or _is_fixed(matrix.context):
            return "fixed"
        if self.optimizer == "sgd" and (matrix.context is None or matrix.context.output_width is None):
            reason = "for SGD `mup` treats vectors after the last weights apart, and no graph is known here"
            raise Refusal(reason, "say in `params` what their layers are: `position: hidden`, `position: output`")
        return "vector"

    def _row_of_matrix(self, matrix: Matrix) -> str:
        if self.position != "auto":
            return self.position
        context = matrix.context
        if context is None or context.input_width is None or context.output_width is None:
            reason = "`mup` treats input, hidden and output weights apart, and no graph is known here"
            raise Refusal(reason, "say which they are in `params`: `position: hidden`")
        outputs, inputs = matrix.shape[:2][:: -1 if matrix.input_first else 1]
        if inputs == 1 and matrix.name.isdigit():
            # A depthwise kernel: its channels are groups, so that what grows is their number.
            return "fixed" if context.input_width else "input"
        grows_in, grows_out = inputs > 1 and not context.input_width, outputs > 1 and not context.output_width
        return {(True, True): "hidden", (False, True): "input", (True, False): "output"}.get(
            (grows_in, grows_out), "fixed"
        )


def _is_vector(matrix: Matrix) -> bool:
    return len(matrix.shape) < 2 or matrix.role == "embedding"


def _is_fixed(context: Context | None) -> bool:
    return context is not None and bool(context.input_width or context.output_width)


@register_initializer("spectral")
class Spectral(Elementwise):
    """Weights whose spectral norm is about √(fan_out / fan_in), so that features and their updates keep their size.

    Formula: std = gain / √fan_in · min(1, √(fan_out / fan_in)); learning rate times fan_out / fan_in (SGD) or
        1 / fan_in (Adam)
    Source: Yang, Simon and Bernstein, A spectral condition for feature learning, arXiv:2310.17813,
        parametrization 1
    """

    gain: Positive = 1.0
    """Factor for all weights."""
    optimizer: Optimizer = "adam"
    """Whose learning rates are stated."""

    def law(self, matrix: Matrix) -> Law:
        if len(matrix.shape) < 2:
            hint = "give vectors a scheme of their own, as in `bias: zeros`"
            raise Refusal("`spectral` needs a matrix, but this is a vector", hint)
        if not matrix.fan_in or not matrix.fan_out:
            return Constant(0.0)
        return Normal(0.0, self.gain / sqrt(matrix.fan_in) * min(1.0, sqrt(matrix.fan_out / matrix.fan_in)))

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        rate = (1.0 if self.optimizer == "adam" else matrix.fan_out) / max(matrix.fan_in, 1.0)
        return {
            "gain": self.gain,
            "fan_in": matrix.fan_in,
            "fan_out": matrix.fan_out,
            "optimizer": self.optimizer,
            LEARNING_RATE: rate,
        }
