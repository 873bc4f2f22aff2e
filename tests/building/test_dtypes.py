"""mf.initialize and dtypes: float64 gets all its digits, and what cannot hold initial values is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge import inits


def test_float64_gets_what_it_can_hold():
    net = nn.Sequential(nn.Linear(40, 40), nn.Conv2d(3, 3, 3), nn.Linear(6, 6)).double()
    init = {
        "scheme": "orthogonal",
        "bias": {"scheme": "constant", "value": 0.1},
        "params": {"1.weight": {"scheme": "dirac", "gain": 0.3}, "2.weight": {"scheme": "eye", "gain": 1 / 3}},
    }
    assert mf.initialize(net, init).ok
    first, second, third = (net[index] for index in range(3))
    error = (first.weight @ first.weight.T - torch.eye(40, dtype=torch.float64)).abs().max()
    assert error < 1e-14
    assert first.bias.eq(0.1).all()
    assert second.weight[0, 0, 1, 1] == 0.3
    assert third.weight[5, 5] == 1 / 3


@pytest.mark.parametrize("scheme", sorted(name for name in inits.names() if name != "pretrained"))
def test_float64_values_are_those_of_float32_with_more_digits(scheme: str):
    """Whatever can fill a plain matrix with no fields but what it needs."""
    needed = {
        "constant": {"value": 0.1},
        "normal": {"std": 0.02},
        "truncated_normal": {"std": 0.02},
        "uniform": {"low": -0.3, "high": 0.1},
        "sparse": {"sparsity": 0.5},
        "mup": {"width": 40, "base_width": 20, "position": "hidden"},
        "gpt2": {"branches": 4, "ends": True},
        "fixup": {"branches": 4, "ends": False},
        "wang": {"branches": 4, "ends": False},
        "deepnorm": {"branches": 4, "ends": True},
        "t_fixup": {"branches": 4, "ends": True},
        "siren": {"first": False},
        "critical": {"activation": "tanh"},
    }
    single, double = (nn.Linear(40, 40, bias=False, dtype=dtype) for dtype in (torch.float32, torch.float64))
    try:
        ledger = mf.initialize(single, {"scheme": scheme, **needed.get(scheme, {})})
    except mf.ForgeError:
        pytest.skip("it does not fill a plain matrix")
    if ledger.entries[0].verdict == "unpromised" or scheme == "keep":
        pytest.skip("it draws nothing")
    assert mf.initialize(double, {"scheme": scheme, **needed.get(scheme, {})}).ok
    assert (double.weight - single.weight).abs().max() <= 3e-6 * single.weight.abs().max()
    if scheme not in ("zeros", "ones", "eye", "irnn", "zero"):
        assert not torch.equal(double.weight, double.weight.float().double())


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
@pytest.mark.parametrize("scheme", ["zeros", "torch", "orthogonal"])
def test_float8_is_refused_before_anything_is_written(scheme: str, dtype: torch.dtype):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = nn.Parameter(torch.ones(4, 4).to(dtype), requires_grad=False)
    before = {path: weight.detach().clone() for path, weight in net.named_parameters()}
    init = {"scheme": scheme, "params": {"1.weight": scheme}}
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(net, init)
    name = str(dtype).removeprefix("torch.")
    (problem,) = caught.value.problems
    assert (problem.code, problem.message, problem.hint) == (
        "MF026",
        f"`{scheme}` cannot fill 1.weight (4, 4): it is {name}, which has too few bits for values of every size",
        "initialise in float32 and convert then; its own values can stay: `keep`",
    )
    assert all(torch.equal(weight.float(), before[path].float()) for path, weight in net.named_parameters())
    mf.initialize(net, {"scheme": "zeros", "params": {"1.weight": "keep"}})


def test_a_model_is_not_built_in_float8():
    spec = mf.parse({"input": {"shape": [4]}, "layers": {"a": {"type": "Linear", "out_features": 4}}}, init="lecun")
    with pytest.raises(TypeError, match="which has too few bits: build in float32 and convert then"):
        mf.build(spec, dtype=torch.float8_e5m2)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool], ids=str)
def test_whole_numbers_are_refused_before_anything_is_written(dtype: torch.dtype):
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = nn.Parameter(torch.ones(4, 4).to(dtype), requires_grad=False)
    before = net[0].weight.detach().clone()
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(net, {"scheme": "torch", "params": {"1.weight": "torch"}})
    name = str(dtype).removeprefix("torch.")
    message = f"`torch` cannot fill 1.weight (4, 4): it is {name}, and whether whole numbers were written does not show"
    assert [(problem.message, problem.hint) for problem in caught.value.problems] == [
        (message, "its own values can stay: `keep`")
    ]
    assert torch.equal(net[0].weight, before)
