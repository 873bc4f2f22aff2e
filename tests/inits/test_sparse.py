"""Sparse: exact numbers of zeros for each unit, at places that are equally likely."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy import stats

from modelforge import inits
from modelforge.core.rng import Key
from modelforge.inits import Matrix


def draw(block: Matrix, **fields: Any) -> torch.Tensor:
    out = torch.full(block.shape, torch.nan)
    inits.create({"scheme": "sparse", "std": 1.0, **fields}).resolve(block).draw_(out, Key(0, "sparse"))
    return out


@pytest.mark.parametrize(
    ("sparsity", "num_inputs", "kept"),
    [(0.0, 30, 30), (0.1, 30, 27), (0.5, 7, 3), (0.9, 10, 1), (0.9, 100, 10), (0.99, 10, 1), (0.999999, 1, 1)],
)
def test_each_output_keeps_as_many_inputs(sparsity: float, num_inputs: int, kept: int):
    values = draw(Matrix(shape=(20, num_inputs), fan_in=num_inputs, fan_out=20), sparsity=sparsity)
    assert values.count_nonzero(dim=1).tolist() == [kept] * 20


@pytest.mark.parametrize("axis", ["fan_in", "fan_out"])
@pytest.mark.parametrize("input_first", [False, True])
def test_units_of_convolutions_are_whole_filters(axis: str, input_first: bool):
    shape = (8, 16, 3, 3) if input_first else (16, 8, 3, 3)
    values = draw(Matrix(shape=shape, fan_in=72, fan_out=144, input_first=input_first), sparsity=0.75, axis=axis)
    outputs_first = values.transpose(0, 1) if input_first else values
    units = outputs_first if axis == "fan_in" else outputs_first.transpose(0, 1)
    assert set(units.flatten(1).count_nonzero(dim=1).tolist()) == {18 if axis == "fan_in" else 36}


def test_places_are_equally_likely_and_values_normal():
    block = Matrix(shape=(6000, 40), fan_in=40, fan_out=6000)
    values = draw(block, sparsity=0.8)
    kept = values != 0
    share = 0.2
    assert (kept.double().mean(0) - share).abs().max() < 4.5 * math.sqrt(share * (1 - share) / 6000)
    assert stats.kstest(values[kept].double().numpy(), "norm").pvalue > 1e-3
    assert len({tuple(row) for row in kept.tolist()}) > 5900, "units choose independently"
    first, last = kept[:, 0].double(), kept[:, -1].double()
    together = share * (8 - 1) / (40 - 1)
    assert abs((first * last).mean().item() - together) < 4.5 * math.sqrt(together / 6000)


def test_what_a_unit_gets_does_not_depend_on_batches(monkeypatch: pytest.MonkeyPatch):
    # More units than one batch holds: every batch must be drawn, and differently.
    monkeypatch.setattr("modelforge.inits.schemes.sparse._BATCH", 100)
    values = draw(Matrix(shape=(23, 40), fan_in=40, fan_out=23), sparsity=0.5)
    assert values.count_nonzero(dim=1).tolist() == [20] * 23
    assert len(values.unique()) == 23 * 20 + 1


def test_targets_count_the_zeros():
    fill = inits.create({"scheme": "sparse", "sparsity": 0.9, "std": 2.0}).resolve(
        Matrix(shape=(10, 100), fan_in=100, fan_out=10)
    )
    assert (fill.mean, fill.std, fill.promise.kurtosis) == (0.0, pytest.approx(2 * math.sqrt(0.1)), pytest.approx(30))
