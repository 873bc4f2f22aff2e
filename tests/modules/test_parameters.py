"""Layouts: the role and the matrices of each parameter, registered for a class or read off what it computes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.layers import (
    ParameterLayout,
    forget_class,
    register_branches,
    register_layout,
    rows,
    whole,
)
from modelforge.modules.norms import neutral_scale
from tests.building.test_any_module import refused


class OwnNorm(nn.Module):
    """`zero_centred` norms multiply by 1 + weight."""

    def __init__(self, *, zero_centred: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((8,), 5.0))
        self.offset = float(zero_centred)

    def forward(self, x: Tensor) -> Tensor:
        return x * x.square().mean(-1, keepdim=True).rsqrt() * (self.offset + self.weight)


@pytest.mark.parametrize(("zero_centred", "neutral"), [(False, 1.0), (True, 0.0)])
def test_a_norm_is_told_by_what_it_does(zero_centred, neutral):
    net = nn.Sequential(OwnNorm(zero_centred=zero_centred), nn.Linear(8, 2))
    ledger = mf.initialize(net, "xavier")
    assert net[0].weight.eq(neutral).all()
    assert (ledger["0.weight"].role, ledger["0.weight"].target_mean) == ("scale", neutral)


@pytest.mark.parametrize("wrong", [lambda x: x, lambda x: 1 / 0, lambda x: None], ids=["as_it_is", "fails", "none"])
def test_what_only_has_the_name_of_a_norm_is_unknown(wrong):
    norm = OwnNorm(zero_centred=False)
    norm.forward = wrong
    assert neutral_scale(norm) is None
    (problem,) = refused(norm, "xavier")
    assert (problem.code, problem.message) == ("MF025", "no rule covers weight (8,), and its role is not known")


class Packed(nn.Module):
    """Queries and keys in one linear layer; a residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.qk = nn.Linear(16, 32)
        self.out = nn.Linear(16, 16)


class Derived(Packed):
    pass


@pytest.mark.parametrize("name", [Packed, f"{Packed.__module__}.Packed"], ids=["class", "name"])
def test_own_layouts_and_branches(name):
    @register_layout(name)
    def packed(module: Packed) -> dict[str, ParameterLayout]:
        return {"qk.weight": ParameterLayout("weight", rows(module.qk.weight, ("q", "k")))}

    register_branches(name, ("qk", "out"))
    try:
        net = nn.Sequential(Packed(), Derived())
        ledger = mf.initialize(net, {"scheme": "gpt2", "params": {"?.qk.weight": "orthogonal"}})
    finally:
        forget_class(name)
        forget_class(name)
    assert ledger["0.qk.weight"].matrices == ledger["1.qk.weight"].matrices == ("q", "k")
    assert torch.allclose(net[1].qk.weight[:16] @ net[1].qk.weight[:16].T, torch.eye(16), atol=1e-5)
    assert ledger["1.out.weight"].target_std == pytest.approx(0.02 / 2**0.5)


def test_a_layout_of_a_parent_goes_before_that_of_the_child():
    register_layout(Packed)(
        lambda module: {"out.weight": ParameterLayout("embedding", (whole(module.out.weight, fan_in=1.0),))}
    )
    try:
        assert mf.initialize(Packed(), "xavier")["out.weight"].role == "embedding"
    finally:
        forget_class(Packed)
