"""Parametrised tensors: what is drawn is what the module computes, and what cannot be inverted is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import modelforge as mf
from tests.building.test_any_module import NORMAL, refused


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("init", [NORMAL, "orthogonal", {"scheme": "constant", "value": 0.25}])
def test_weight_norm_takes_effect(dtype, init):
    """torch.nn.init on it is silently without effect: pytorch/pytorch#180968."""
    plain, normed = (nn.Linear(60, 40, dtype=dtype) for _ in range(2))
    net = nn.Sequential(parametrizations.weight_norm(normed))
    before = [name for name, _ in net.named_parameters()]
    ledger = mf.initialize(net, init, seed=4)
    assert ledger.ok
    assert {entry.path for entry in ledger} == {"0.weight", "0.bias"}
    mf.initialize(nn.Sequential(plain), init, seed=4)
    eps = torch.finfo(dtype).eps
    assert torch.allclose(net[0].weight, plain.weight, rtol=4 * eps, atol=0)
    x = torch.randn(3, 60, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.allclose(net(x), plain(x), rtol=0, atol=64 * eps)
    assert [name for name, _ in net.named_parameters()] == before
    assert parametrize.is_parametrized(net[0])
    assert type(copy.deepcopy(net[0])) is type(net[0])


def test_blocks_classes_and_schemes_as_if_it_were_not_parametrised():
    net = nn.Sequential(parametrizations.weight_norm(nn.Conv2d(8, 16, 3, groups=2)))
    ledger = mf.initialize(net, {"types": {"Conv2d": "orthogonal"}})
    assert (ledger["0.weight"].matrices, ledger["0.weight"].rule) == (("0", "1"), "init.types.Conv2d")
    for group in net[0].weight.flatten(1).split(8):
        assert torch.allclose(group @ group.T, torch.eye(8), atol=1e-5)
    mf.initialize(net, "torch")
    assert 0 < net[0].weight.abs().max() <= 36**-0.5


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_the_older_weight_norm():
    net = nn.utils.weight_norm(nn.Linear(60, 40))
    mf.initialize(plain := nn.Linear(60, 40), NORMAL, seed=1)
    ledger = mf.initialize(net, NORMAL, seed=1)
    assert ledger.ok
    assert torch.allclose(net.weight, plain.weight, atol=1e-6)
    assert torch.allclose(net(torch.ones(1, 60)), plain(torch.ones(1, 60)), atol=1e-5)
    assert [name for name, _ in net.named_parameters()] == ["bias", "weight_g", "weight_v"]


def test_what_a_parametrisation_computes_is_measured():
    class Double(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

        def right_inverse(self, x: Tensor) -> Tensor:
            return x / 2

    net = parametrize.register_parametrization(nn.Linear(300, 100), "weight", Double())
    measured = mf.initialize(net, NORMAL)["weight"].measured_std
    assert measured == pytest.approx(net.weight.std().item(), rel=1e-3)
    assert measured == pytest.approx(2 * net.parametrizations.weight.original.std().item(), rel=1e-3)


@pytest.mark.parametrize("shape", [(6, 6), (6, 4), (4, 6)])
def test_orthogonal_takes_what_is_orthogonal(shape):
    net = parametrizations.orthogonal(nn.Linear(*shape))
    mf.initialize(plain := nn.Linear(*shape), "orthogonal", seed=2)
    state = torch.get_rng_state()
    assert mf.initialize(net, "orthogonal", seed=2).ok
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.allclose(net.weight, plain.weight, atol=1e-5)


def test_orthogonal_refuses_what_is_not():
    net = nn.Sequential(nn.Linear(4, 4), parametrizations.orthogonal(nn.Linear(4, 4)))
    (problem,) = refused(net, NORMAL)
    assert problem.code == "MF094"
    begins = "`normal` cannot fill 1.weight (4, 4): `Orthogonal` computes other values from these, off by up to "
    assert problem.message.startswith(begins)
    assert problem.hint == "initialise before it is parametrised, or keep its values: `params: {1.weight: keep}`"


def test_one_refusal_undoes_all():
    net = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), parametrizations.spectral_norm(nn.Linear(4, 4)))
    (problem,) = refused(net.train(), NORMAL)
    assert "1.weight (4, 4): `SpectralNorm` computes other values" in problem.message
    assert net.training
    assert net[1].parametrizations.weight[0].training
    old = net[1].weight.detach().clone()
    ledger = mf.initialize(net.eval(), NORMAL | {"params": {"1.weight": "keep"}})
    assert ledger.ok
    assert torch.allclose(net[1].weight, old, atol=1e-5)


def test_zeros_have_no_direction():
    (problem,) = refused(parametrizations.weight_norm(nn.Linear(4, 4)), "zeros")
    assert problem.message == "`zeros` cannot fill weight (4, 4): `WeightNorm` computes NaN from these values"


def test_no_way_back():
    class Positive(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.abs()

    net = parametrize.register_parametrization(nn.Linear(4, 4), "weight", Positive())
    (problem,) = refused(net, NORMAL)
    assert (problem.code, problem.key) == ("MF094", "weight")
    assert problem.message.startswith("`weight` is parametrised: `Positive` has no `right_inverse`")
    old = net.weight.detach().clone()
    assert mf.initialize(net, NORMAL | {"params": {"weight": "keep"}}).ok
    assert torch.equal(net.weight, old)


def test_the_older_spectral_norm_is_refused():
    (problem,) = refused(nn.utils.spectral_norm(nn.Linear(4, 4)), NORMAL)
    assert problem.message.startswith("`weight` is parametrised: `SpectralNorm` has no `right_inverse`")


def test_parametrisations_with_parameters_of_their_own():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.scale

        def right_inverse(self, x: Tensor) -> Tensor:
            return x / self.scale

    net = parametrize.register_parametrization(nn.Linear(4, 4), "weight", Scaled())
    (problem,) = refused(net, NORMAL | {"params": {"*.scale": "ones"}})
    assert problem.message.startswith("`weight` is parametrised: `Scaled` has parameters of its own (scale)")
    kept = {"params": {"weight": "keep", "*.scale": "ones"}}
    assert [entry.path for entry in mf.initialize(net, NORMAL | kept)][-1] == "parametrizations.weight.0.scale"


def test_parametrised_and_tied():
    class Same(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

        def right_inverse(self, x: Tensor) -> Tensor:
            return x

    first, second = (parametrize.register_parametrization(nn.Linear(4, 4), "weight", Same()) for _ in range(2))
    second.parametrizations.weight.original = first.parametrizations.weight.original
    found = refused(nn.Sequential(first, second), NORMAL)
    assert [(problem.code, problem.key) for problem in found] == [("MF094", "0.weight"), ("MF094", "1.weight")]
    assert found[0].message == "`0.weight` is parametrised, and what it is computed from is also used elsewhere"
