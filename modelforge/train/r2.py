"""`R2`: the coefficient of determination, also of targets whose mean is large or whose spread is small."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics import Metric

from modelforge.train.tasks.task import widest


class R2(Metric):
    """R² = 1 - Σ (y - ŷ)² / Σ (y - ȳ)², the mean over the targets.

    torchmetrics' R2Score computes the second sum as Σ y² - (Σ y)² / n in float32, where nothing is left of it if the
    mean is large beside the spread, and takes targets for constant if it is below 1e-4. Here both sums are of distances
    from a number near the mean, in the widest numbers that the device has. As in scikit-learn, a constant target scores
    0, or 1 where it is met exactly, and fewer than two examples NaN.
    """

    is_differentiable = True
    higher_is_better = True
    full_state_update = False
    sums: Tensor

    def __init__(self, num_targets: int) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(5, num_targets, dtype=widest()), dist_reduce_fx=_joined)

    def update(self, predicted: Tensor, targets: Tensor) -> None:
        """Adds examples `(examples, targets)`."""
        predicted, targets = predicted.to(self.sums), targets.to(self.sums)
        shift = targets.mean(0)
        away = targets - shift
        number = torch.full_like(shift, len(targets))
        found = (number, shift, away.sum(0), away.square().sum(0), (targets - predicted).square().sum(0))
        self.sums = _joined(torch.stack((self.sums, torch.stack(found))))

    def compute(self) -> Tensor:
        """The mean over the targets."""
        number, shift, first, second, residual = self.sums
        if number[0] < 2:
            return self.sums.new_tensor(math.nan)
        spread = second - first.square() / number
        digits = torch.finfo(spread.dtype).eps * (shift + first / number).abs()
        is_constant = spread <= number * (4 * digits).square()
        return torch.where(is_constant, (residual == 0).to(spread), 1 - residual / spread).mean()


def _joined(parts: Tensor) -> Tensor:
    """The sums of all examples, from those of several parts.

    Args:
        parts: `(parts, 5, targets)`: the number of examples, a number c near their mean, Σ (y - c), Σ (y - c)², and
            the sum of the squared errors.
    """
    number, shifts, first, second, residual = parts.unbind(1)
    shift = shifts[number[:, 0].argmax()]
    moved = (shifts - shift).where(number > 0, 0)
    second = second + moved * (2 * first + number * moved)
    first = first + number * moved
    return torch.stack((number.sum(0), shift, first.sum(0), second.sum(0), residual.sum(0)))
