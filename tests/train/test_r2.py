"""R² against scikit-learn's in float64: of any mean and spread, in batches and processes of any size."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import r2_score
from torch import Tensor

from modelforge.train.r2 import R2

ROUNDING = 1e-9


def examples(mean: float, std: float, size: int = 200) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    right = torch.randn(size, 2, generator=draw) * torch.tensor([std, 2 * std]) + torch.tensor([mean, -mean])
    return right + 0.5 * std * torch.randn(size, 2, generator=draw), right


def counted(predicted: Tensor, right: Tensor, size: int, dtype: torch.dtype = torch.float32) -> R2:
    metric = R2(right.shape[1])
    for one, other in zip(predicted.split(size), right.split(size), strict=True):
        metric.update(one.to(dtype), other.to(dtype))
    return metric


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [200, 64, 1])
@pytest.mark.parametrize(("mean", "std"), [(0, 1), (1e4, 1), (1e5, 1), (-3, 1e-4), (0, 1e-6), (5, 1e4)])
def test_of_any_mean_and_spread(mean: float, std: float, size: int, dtype: torch.dtype):
    predicted, right = examples(mean, std)
    found = counted(predicted, right, size, dtype).compute().item()
    assert found == pytest.approx(r2_score(right.double(), predicted.double()), abs=ROUNDING)


def test_of_examples_in_an_order():
    predicted, right = (one.sort(0).values for one in examples(1e3, 10))
    found = counted(predicted, right, 16).compute().item()
    assert found == pytest.approx(r2_score(right.double(), predicted.double()), abs=ROUNDING)


def test_processes_join_what_they_counted():
    """The third had no examples."""
    predicted, right = examples(1e4, 1)
    parts = [counted(predicted[:150], right[:150], 64), counted(predicted[150:], right[150:], 64), R2(2)]
    every = R2(2)
    join = every._reductions["sums"]
    assert callable(join)
    every.sums = join(torch.stack([one.sums for one in parts]))
    every._update_count = 1
    assert every.compute().item() == pytest.approx(r2_score(right.double(), predicted.double()), abs=ROUNDING)


@pytest.mark.parametrize("value", [2.0, 0.1, -12345.678])
def test_a_constant_target_scores_0_or_1(value: float):
    right = torch.full((40, 1), value)
    assert counted(right + 1, right, 7).compute().item() == 0
    assert counted(right.clone(), right, 7).compute().item() == 1


def test_many_small_batches_lose_no_digit():
    """Of which the first is far from the others."""
    predicted, right = examples(0, 1, 2_000)
    right[0], predicted[0] = 3000, 3000
    found = counted(predicted, right, 1).compute().item()
    assert found == pytest.approx(r2_score(right.double(), predicted.double()), abs=1e-12)


def test_of_one_example_it_is_not_a_number():
    assert counted(torch.ones(1, 1), torch.ones(1, 1), 1).compute().isnan()
