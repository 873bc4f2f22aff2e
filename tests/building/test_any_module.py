"""mf.initialize on whatever modules there are: tied, shared, parametrised, bare, quantised, of classes unknown."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

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

NORMAL = {"scheme": "normal", "std": 0.1}


def refused(module: nn.Module, init: Any) -> list[mf.Problem]:
    """What is wrong, after checking that nothing was written."""
    before = {name: value.detach().clone() for name, value in module.state_dict().items()}
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(module, init)
    assert list(before) == list(module.state_dict())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    return list(caught.value.problems)


# --- several names, several uses --------------------------------------------------------------------------------------


class Tied(nn.Module):
    """An embedding whose weight is also the head's."""

    def __init__(self, *, head_first: bool = False) -> None:
        super().__init__()
        embed, head = nn.Embedding(50, 20, padding_idx=3), nn.Linear(20, 50, bias=False)
        head.weight = embed.weight
        for name in ("head", "embed") if head_first else ("embed", "head"):
            setattr(self, name, {"embed": embed, "head": head}[name])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embed(x))


def test_the_first_name_of_a_tied_parameter_says_what_it_is():
    ledger = mf.initialize(embed := Tied(), "xavier")
    assert [(entry.path, entry.role, entry.target_std) for entry in ledger] == [("embed.weight", "embedding", 0.02)]
    assert embed.embed.weight[3].eq(0).all()
    assert embed.head.weight is embed.embed.weight
    ledger = mf.initialize(head := Tied(head_first=True), "xavier")
    assert [(entry.path, entry.role) for entry in ledger] == [("head.weight", "weight")]
    assert head.embed.weight[3].ne(0).all()
    assert head(torch.tensor([1, 2])).isfinite().all()


@pytest.mark.parametrize("name", ["embed.weight", "head.weight", "head.*", "*.weight", "e*.weight"])
def test_each_name_of_a_tied_parameter_will_do(name):
    ledger = mf.initialize(tied := Tied(), NORMAL | {"params": {name: "ones"}})
    assert ledger["embed.weight"].rule == f"init.params.{name}"
    # The padding row stays zero whatever the rule.
    assert tied.head.weight.sum() == 49 * 20


def test_names_below_a_class():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Tied()
            self.outer = nn.Linear(20, 50, bias=False)
            self.outer.weight = self.inner.embed.weight

    ledger = mf.initialize(Net(), NORMAL | {"types": {"Tied": {"params": {"head.weight": "zeros"}}}})
    assert ledger["inner.embed.weight"].rule == "init.types.Tied.params.head.weight"
    found = refused(Net(), NORMAL | {"types": {"Tied": {"params": {"outer.weight": "zeros"}}}})
    assert [(problem.code, problem.path) for problem in found] == [("MF023", "init.types.Tied.params.outer.weight")]


def test_two_rules_for_two_names_of_one_parameter():
    (problem,) = refused(Tied(), {"params": {"embed.weight": "ones", "head.weight": "zeros"}})
    assert problem.code == "MF024"
    assert problem.path == "init.params.head.weight"
    assert problem.message == "`embed.weight` and `head.weight` both match `embed.weight`, and neither is nearer"
    assert problem.hint == "it is one parameter with several names: keep one of the rules"


def test_shared_modules_are_filled_once():
    shared = nn.Linear(4, 4)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    ledger = mf.initialize(net, NORMAL | {"params": {"2.bias": "ones"}})
    assert [(entry.path, entry.scheme) for entry in ledger] == [("0.weight", "normal"), ("0.bias", "ones")]


def test_lists_and_dicts_of_parameters():
    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scales = nn.ParameterList([torch.zeros(3), torch.zeros(3)])
            self.tables = nn.ParameterDict({"a": torch.zeros(2, 3)})

    found = refused(Bag(), NORMAL)
    assert [(problem.code, problem.path) for problem in found] == [
        ("MF025", path) for path in ("scales.0", "scales.1", "tables.a")
    ]
    assert found[2].message == "no rule covers tables.a (2, 3), and its role is not known"
    assert "params: {tables.a: ...}" in found[2].hint
    ledger = mf.initialize(bag := Bag(), {"params": {"scales.*": "ones", "tables.a": NORMAL}})
    assert ledger.ok
    assert bag.scales[1].eq(1).all()


def test_what_is_left_of_quantisation_is_named():
    net = nn.Sequential(nn.Linear(4, 4))
    net[0].weight = nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)
    (problem,) = refused(net, NORMAL)
    assert problem.code == "MF026"
    assert problem.message == "`normal` cannot fill 0.weight (4, 4): values are drawn as real numbers, but it is int8"
    ledger = mf.initialize(net, NORMAL | {"params": {"0.weight": "keep"}})
    assert ledger.ok
    assert net[0].weight.eq(1).all()


# --- parametrised weights ---------------------------------------------------------------------------------------------


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
    begins = "`normal` cannot fill 1.weight (4, 4): `Orthogonal` makes other values of them, off by up to "
    assert problem.message.startswith(begins)
    assert problem.hint == "initialise before it is parametrised, or keep its values: `params: {1.weight: keep}`"


def test_one_refusal_undoes_all():
    net = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), parametrizations.spectral_norm(nn.Linear(4, 4)))
    (problem,) = refused(net.train(), NORMAL)
    assert "1.weight (4, 4): `SpectralNorm` makes other values" in problem.message
    assert net.training
    assert net[1].parametrizations.weight[0].training
    old = net[1].weight.detach().clone()
    ledger = mf.initialize(net.eval(), NORMAL | {"params": {"1.weight": "keep"}})
    assert ledger.ok
    assert torch.allclose(net[1].weight, old, atol=1e-5)


def test_zeros_have_no_direction():
    (problem,) = refused(parametrizations.weight_norm(nn.Linear(4, 4)), "zeros")
    assert problem.message == "`zeros` cannot fill weight (4, 4): `WeightNorm` makes NaN of them"


def test_no_way_back():
    class Positive(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.abs()

    net = parametrize.register_parametrization(nn.Linear(4, 4), "weight", Positive())
    (problem,) = refused(net, NORMAL)
    assert (problem.code, problem.path) == ("MF094", "weight")
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
    assert [(problem.code, problem.path) for problem in found] == [("MF094", "0.weight"), ("MF094", "1.weight")]
    assert found[0].message == "`0.weight` is parametrised, and what it is computed from is also used elsewhere"


# --- classes that nobody registered -----------------------------------------------------------------------------------


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


def test_branches_that_are_not_there():
    register_branches(Packed, ("norm", "other"), ("qk", "out"))
    try:
        assert mf.initialize(Packed(), "gpt2")["out.weight"].numbers["branches"] == 1
        register_branches(Packed, ("norm", "qk", "out"))
        with pytest.raises(mf.ForgeError, match="no graph is known"):
            mf.initialize(Packed(), "gpt2")
    finally:
        forget_class(Packed)


def test_a_layout_of_a_parent_goes_before_that_of_the_child():
    register_layout(Packed)(
        lambda module: {"out.weight": ParameterLayout("embedding", (whole(module.out.weight, fan_in=1.0),))}
    )
    try:
        assert mf.initialize(Packed(), "xavier")["out.weight"].role == "embedding"
    finally:
        forget_class(Packed)
