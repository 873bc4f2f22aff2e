"""Digests of models: equal for equal values, another one for every difference that is left after rounding."""

from __future__ import annotations

import torch
from torch import nn

import modelforge as mf


def test_digests():
    def started(seed: int, scheme: str = "xavier") -> nn.Module:
        net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        mf.initialize(net, scheme, seed=seed)
        return net

    assert mf.digest(started(1)) == mf.digest(started(1))
    assert len({mf.digest(net) for net in (started(1), started(2), started(1, "kaiming"), started(1).double())}) == 4
    net, other = started(1), started(1)
    with torch.no_grad():
        other.get_parameter("0.weight")[0, 0].nextafter_(torch.tensor(1.0))
    assert mf.digest(net) != mf.digest(other)
    assert mf.digest(net, decimals=6) == mf.digest(other, decimals=6)


def test_values_that_are_computed_when_they_are_read():
    def holding(values: torch.Tensor) -> nn.Module:
        module = nn.Module()
        module.weight = nn.Parameter(values)
        return module

    one = torch.tensor([1.0, 2.0])
    assert mf.digest(holding(torch.complex(one, one).conj().imag)) == mf.digest(holding(-one))
    number = torch.complex(one, one)
    assert mf.digest(holding(number.conj())) == mf.digest(holding(torch.complex(one, -one)))
