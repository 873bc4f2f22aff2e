"""What processes have of a metric, where one of them counted nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAUROC
from torchmetrics.regression import ExplainedVariance

from modelforge.train.parallel.world import World

CLASSES = (torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).softmax(-1), torch.arange(20) % 3)
NUMBERS = (torch.arange(20.0).view(10, 2), torch.arange(20.0).view(10, 2).square())


class Of(World):
    """The processes that had some states."""

    def __init__(self, *states: Tensor) -> None:
        super().__init__(0, len(states))
        object.__setattr__(self, "all", states)

    def gather(self, value: Any) -> list[Any]:
        return [*self.all]  # pyright: ignore[reportAttributeAccessIssue]  # set above


@pytest.mark.parametrize(
    ("metric", "batch"), [(MulticlassAUROC(3), CLASSES), (ExplainedVariance(), NUMBERS)], ids=["lists", "sums"]
)
def test_a_process_that_counted_nothing_changes_nothing(metric: Metric, batch: tuple[Tensor, Tensor]):
    """torchmetrics stands for it by an empty state, or by a number where others have several."""
    metric.update(*batch)
    alone = metric.compute()
    for name, reduction in metric._reductions.items():
        assert callable(reduction)
        state: Any = getattr(metric, name)
        own, other = (state[0], torch.tensor([])) if isinstance(state, list) else (state, metric._defaults[name])
        assert isinstance(other, Tensor)
        each = Of(own, other).states(own)
        setattr(metric, name, each if isinstance(state, list) else reduction(torch.stack(each)))
    metric._computed = None
    assert torch.equal(metric.compute(), alone)


def test_states_of_different_lengths_stay_as_they_are():
    each = Of(torch.ones(3, 2), torch.zeros(1, 2)).states(torch.ones(3, 2))
    assert [tuple(one.shape) for one in each] == [(3, 2), (1, 2)]
    assert [one.shape for one in Of(torch.ones(0), torch.ones(0)).states(torch.ones(0))] == [(0,), (0,)]
