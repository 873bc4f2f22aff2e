"""Measures of one tensor: moments, dead units, effective rank; and of an activation the share where it is flat."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from modelforge.core.rng import Key
from modelforge.inits.gains.activations import ACTIVATIONS

FLAT = 0.05
"""An activation is flat where its slope is below this share of its steepest slope."""
MAX_ROWS = 256
"""Rows of which an effective rank is computed; of more, this many that are drawn."""
_GRID = 10.0, 2001
"""Where the steepest slope is looked for: from minus to plus this number, in so many points."""
GROWN = 1.5
"""By how much slopes are steeper on the grid than on its inner half where they grow without end."""
_CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
)
_CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.Embedding, nn.RNNBase, nn.MultiheadAttention)


@dataclass(frozen=True, slots=True)
class Moments:
    """The elements of a tensor: mean, std (divided by their number) and mean square."""

    mean: float
    std: float
    second_moment: float
    log_second_moment: float
    """The natural logarithm of `second_moment`; over seeds the mean of the logarithms."""
    spread: float | None = None
    """Std over seeds of `log_second_moment`; None where there is one seed."""

    @classmethod
    def of(cls, values: Tensor) -> Moments:
        """The moments of a tensor, computed in float64."""
        values = values.detach().double()
        if not values.numel():
            return cls(math.nan, math.nan, math.nan, math.nan)
        mean, std, square = float(values.mean()), float(values.std(correction=0)), float(values.square().mean())
        return cls(mean, std, square, _log(square))

    @classmethod
    def from_sums(cls, mean: float, second_moment: float) -> Moments:
        """The moments that follow from the first two."""
        return cls(mean, math.sqrt(max(second_moment - mean**2, 0.0)), second_moment, _log(second_moment))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan if math.isnan(value) else -math.inf


def channel_dim(module: nn.Module, output: Tensor, of_input: int | None) -> int:
    """The dimension of an output that counts units: by the module's class, else as in what it reads, else a guess.

    Args:
        module: What made it.
        output: With the batch.
        of_input: That of the tensor that the module read, counted from the front; None where it is not known.
    """
    if isinstance(module, _CHANNELS_FIRST):
        return min(1, output.ndim - 1)
    if isinstance(module, _CHANNELS_LAST) or output.ndim < 3:
        return output.ndim - 1
    if of_input is not None and of_input < output.ndim:
        return of_input
    return 1 if output.ndim > 3 else output.ndim - 1


def as_rows(values: Tensor, dim: int) -> Tensor:
    """The tensor as a matrix: a column for each unit, a row for each place and example."""
    return values.detach().movedim(dim, -1).reshape(-1, values.shape[dim])


def num_dead(rows: Tensor) -> int | None:
    """Units with the same value in every row; None where there is one row, or some value is NaN."""
    if rows.shape[0] < 2 or rows.isnan().any():
        return None
    return int((rows == rows[:1]).all(dim=0).sum())


def drawn(values: Tensor, most: int) -> Tensor:
    """At most so many of a tensor's rows, in order: one that is drawn from each of as many equal parts.

    Rows at equal distances may be alike, as those of one position in all examples; these are the same in every call.
    """
    total = len(values)
    if total <= most:
        return values
    generator = Key(0, "probe", "drawn rows").generator()
    parts = torch.arange(most, dtype=torch.float64) + torch.rand(most, dtype=torch.float64, generator=generator)
    return values[(parts * (total / most)).long().clamp(max=total - 1).to(values.device)]


def effective_rank(rows: Tensor) -> float | None:
    """The exponential of the entropy of the singular values, divided by their sum (Roy & Vetterli 2007).

    None where the rows are all zero or not finite.

    >>> round(effective_rank(torch.eye(7)), 6), round(effective_rank(torch.ones(5, 7)), 6)
    (7.0, 1.0)
    """
    rows = drawn(rows, MAX_ROWS).double().cpu()
    scale = rows.abs().max() if rows.numel() else torch.zeros(())
    if not bool(scale.isfinite()) or not bool(scale):
        return None
    rows = rows / scale
    gram = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    squares = torch.linalg.eigvalsh(gram)
    # What is left of zeros after rounding would count as dimensions.
    squares = squares[squares > squares[-1] * len(squares) * torch.finfo(torch.float64).eps]
    shares = squares.sqrt() / squares.sqrt().sum()
    return float((-(shares * shares.log()).sum()).exp())


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an elementwise function without parameters: torch's, transformers' or registered."""
    if any(True for _ in module.parameters()) or isinstance(module, nn.Identity):
        return False
    classes = tuple(item for item in map(ACTIVATIONS.get, ACTIVATIONS.names()) if isinstance(item, type))
    return isinstance(module, classes) or type(module).__module__ == "transformers.activations"


def share_saturated(activation: nn.Module, values: Tensor) -> float | None:
    """The share of values at which the slope of an activation is below 5 % of its steepest; of a ReLU, those it cuts.

    Where slopes grow without end, as those of a square, it is below 5 % of their root mean square at the values. None
    where some value is NaN.

    >>> share_saturated(nn.Sigmoid(), torch.tensor([-5.0, 0.0, 1.0, 5.0])), share_saturated(nn.ReLU(), torch.ones(2))
    (0.5, 0.0)
    """
    if not values.numel() or values.isnan().any():
        return None
    end, points = _GRID
    grid = torch.linspace(-end, end, points, dtype=torch.float32, device=values.device)
    slopes, found = (_slopes(activation, numbers).abs() for numbers in (grid, values))
    steepest = slopes.max()
    if float(steepest) > GROWN * float(slopes[points // 4 : -(points // 4)].max()):
        steepest = found.double().square().mean().sqrt()
    return float((found < FLAT * steepest).double().mean())


def _same(value: Tensor) -> Tensor:
    return value


@contextmanager
def _in_evaluation(activation: nn.Module) -> Generator[None]:
    modes = {module: module.training for module in activation.modules()}
    activation.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _slopes(activation: nn.Module, values: Tensor) -> Tensor:
    # What is saved here belongs to no checkpoint around it, and what would be drawn is the network's.
    with _in_evaluation(activation), torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(_same, _same):
        values = values.detach().clone().requires_grad_()
        # A second clone: the activation may work in place.
        output: Any = activation.forward(values.clone())
        (slopes,) = torch.autograd.grad(output.sum(), values)
    return slopes
