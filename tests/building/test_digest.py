"""Digests of models: equal for equal values, another one for every difference that is left after rounding."""

from __future__ import annotations

from typing import Any

import pytest
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


def of(*values: complex, decimals: int | None = 6, dtype: torch.dtype = torch.float64) -> str:
    net = nn.Module()
    net.weight = nn.Parameter(torch.tensor(values, dtype=dtype))
    return mf.digest(net, decimals)


@pytest.mark.parametrize("decimals", [0, 6, 15])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_cannot_be_rounded_differs(decimals: int, dtype: torch.dtype):
    inf, nan = torch.inf, torch.nan
    values = [inf, -inf, nan, 1e13, 2e13, -1e13, 1e30, -1e30, 0.0, 1.0, -1.0]
    assert len({of(value, decimals=decimals, dtype=dtype) for value in values}) == len(values)
    assert of(nan, decimals=decimals, dtype=dtype) == of(-nan, decimals=decimals, dtype=dtype)


def test_rounding():
    assert of(0.1234561, 1e13, -0.0) == of(0.1234564, 1e13, 0.0) != of(0.123457, 1e13, 0.0)
    assert of(0.5, 0.1, decimals=15) != of(0.7, 0.3, decimals=15)
    assert of(0.2, decimals=0) == of(-0.4, decimals=0) != of(0.6, decimals=0)
    wide = torch.complex128
    assert of(1 + 1e-9j, dtype=wide) == of(1 + 2e-9j, dtype=wide) != of(1 + 1e-3j, dtype=wide)


@pytest.mark.parametrize("decimals", ["6", 2.5, True, -1, 16])
def test_a_number_of_decimals_that_cannot_be(decimals: Any):
    with pytest.raises(ValueError, match=r"^`decimals` must be a whole number from 0 to 15, but is"):
        of(0.5, decimals=decimals)


def test_what_is_compiled_is_what_was_compiled():
    net = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.Linear(3, 3)))
    known: Any = [mf.digest(net), mf.digest(net, 6)]
    whole: Any = torch.compile(net, backend="eager")
    assert [mf.digest(whole), mf.digest(whole, 6)] == known
    inner: Any = net[1]
    inner[0] = torch.compile(inner[0], backend="eager")
    net[1] = torch.compile(inner, backend="eager")  # pyright: ignore[reportArgumentType]  # a module in fact
    twice: Any = torch.compile(net, backend="eager")
    assert [mf.digest(net), mf.digest(net, 6), mf.digest(twice)] == [*known, known[0]]
    assert "1._orig_mod.0._orig_mod.weight" in dict(net.named_parameters())
