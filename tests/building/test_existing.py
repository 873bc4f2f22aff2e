"""mf.initialize on modules that modelforge did not build, and the schemes that leave the values to others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.core.rng import keyed_globals
from tests.models import MODELS, spec

TORCH = {"scheme": "torch", "bias": "torch", "scale": "torch", "embedding": "torch"}
NORMAL = {"scheme": "normal", "std": 0.1}


def refused(module: nn.Module, init: Any) -> list[tuple[str, str, str]]:
    """What is wrong, after checking that nothing was written."""
    before = {path: weight.detach().clone() for path, weight in module.named_parameters() if not weight.is_meta}
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(module, init)
    for path, weight in module.named_parameters():
        assert weight.is_meta or torch.equal(weight, before[path]), path
    return [(problem.code, problem.path, problem.message) for problem in caught.value.problems]


def test_a_plain_module():
    net = nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 2))
    ledger = mf.initialize(
        net, {"scheme": "orthogonal", "gain": 2.0, "types": {"Linear": {"bias": {"scheme": "ones"}}}}
    )
    assert torch.allclose(net[0].weight.T @ net[0].weight, 4 * torch.eye(100), atol=1e-5)
    assert net[2].bias.eq(1).all()
    assert [(entry.path, entry.scheme, entry.rule) for entry in ledger] == [
        ("0.weight", "orthogonal", "init"),
        ("0.bias", "ones", "init.types.Linear.bias"),
        ("2.weight", "orthogonal", "init"),
        ("2.bias", "ones", "init.types.Linear.bias"),
    ]


def test_gradients_flags_and_identity_stay():
    net = nn.Linear(3, 2)
    net.bias.requires_grad_(False)
    weight, bias = net.weight, net.bias
    mf.initialize(net, NORMAL)
    assert net.weight is weight
    assert net.bias is bias
    assert (weight.requires_grad, bias.requires_grad) == (True, False)
    assert weight.grad_fn is None
    net(torch.ones(1, 3)).sum().backward()


def test_tied_parameters_have_one_rule():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    ledger = mf.initialize(net, NORMAL)
    assert [entry.path for entry in ledger] == ["0.weight", "0.bias", "1.bias"]
    assert net[1].weight is net[0].weight


def test_a_module_that_is_a_single_layer():
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    mf.initialize(first, NORMAL)
    mf.initialize(second, NORMAL)
    assert torch.equal(first.weight, second.weight)


def test_names_of_unknown_modules():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(4, 3))
            self.lin = nn.Linear(3, 2)

    found = refused(Own(), NORMAL)
    assert found == [("MF025", "table", "no rule covers table (4, 3), and its role is not known")]
    own = Own()
    ledger = mf.initialize(own, NORMAL | {"types": {"Own": {"params": {"table": "ones"}}}})
    assert own.table.eq(1).all()
    assert ledger["table"].rule == "init.types.Own.params.table"


def test_a_rule_that_matches_nothing():
    assert refused(nn.Linear(3, 2), NORMAL | {"types": {"Conv2d": "zeros"}}) == [
        ("MF023", "init.types.Conv2d", "no layer here is a `Conv2d`")
    ]


# --- keep and torch ---------------------------------------------------------------------------------------------------


def test_keep_keeps():
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    old = {path: weight.detach().clone() for path, weight in net.named_parameters()}
    ledger = mf.initialize(net, {"scheme": "keep", "bias": "keep", "params": {"1.weight": "ones"}})
    new = dict(net.named_parameters())
    assert [path for path in old if not torch.equal(old[path], new[path])] == ["1.weight"]
    assert [entry.verdict for entry in ledger] == ["unpromised", "unpromised", "pass", "unpromised"]
    assert ledger["0.weight"].measured_mean == pytest.approx(old["0.weight"].mean().item(), abs=1e-6)
    assert ledger.ok


def test_a_new_model_has_nothing_to_keep():
    layers = {"flat": {"type": "Linear", "out_features": 2, "init": "keep"}}
    spec = mf.parse({"input": {"shape": [3]}, "layers": layers})
    with pytest.raises(
        mf.ForgeError, match=r"`keep` cannot fill flat\.weight \(2, 3\): it keeps values, but the parameter is new"
    ):
        mf.build(spec)


@pytest.mark.parametrize("name", MODELS)
def test_torch_is_what_reset_parameters_draws(name):
    model = mf.build(spec(name, TORCH), seed=5)
    own = {path: weight.detach().clone() for path, weight in model.named_parameters()}
    for prefix, module in model.named_modules():
        reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
        # See test_torch_writes_parents_last for attention.
        if module._parameters and reset is not None and not prefix.endswith(("_attn", "attend", "out_proj")):
            with torch.no_grad(), keyed_globals(5, f"{prefix}.", "reset_parameters"):
                reset()
            for local, weight in module._parameters.items():
                assert weight is None or torch.equal(weight, own[f"{prefix}.{local}"]), (prefix, local)


def test_torch_for_biases_alone():
    net = nn.Sequential(nn.Linear(100, 50))
    mf.initialize(net, {"scheme": "ones", "bias": "torch"})
    assert net[0].weight.eq(1).all()
    assert 0 < net[0].bias.abs().max() <= 100**-0.5
    assert net[0].bias.unique().numel() == 50


def test_torch_is_drawn_afresh_whatever_was_there():
    first, second = nn.LSTM(3, 4), nn.LSTM(3, 4)
    for rnn in (first, second):
        mf.initialize(rnn, {"scheme": "torch", "bias": "torch"})
    assert all(torch.equal(*pair) for pair in zip(first.parameters(), second.parameters(), strict=True))


def test_torch_writes_nothing_else():
    attention = nn.MultiheadAttention(4, 2)
    with torch.no_grad():
        attention.out_proj.bias.fill_(7.0)
        attention.out_proj.weight.fill_(7.0)
    mf.initialize(attention, {"scheme": "keep", "bias": "keep", "params": {"in_proj_weight": "torch"}})
    assert attention.out_proj.bias.eq(7).all()
    assert attention.out_proj.weight.eq(7).all()
    norm = nn.BatchNorm1d(3)
    norm(torch.randn(8, 3))
    mean, count = norm.running_mean.clone(), norm.num_batches_tracked.clone()
    mf.initialize(norm, {"scale": "torch", "bias": "torch"})
    assert torch.equal(norm.running_mean, mean)
    assert torch.equal(norm.num_batches_tracked, count)


def test_torch_on_a_module_that_makes_new_parameters():
    class Fresh(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.reset_parameters()

        def reset_parameters(self) -> None:
            self.weight = nn.Parameter(torch.full((2, 3), 4.0))

    fresh = Fresh()
    weight = fresh.weight
    with torch.no_grad():
        weight.zero_()
    mf.initialize(fresh, "torch")
    assert fresh.weight is weight
    assert weight.eq(4).all()


def resets(name: str) -> nn.Module:
    attention = {"MultiheadAttention": lambda: nn.MultiheadAttention(32, 4, add_bias_kv=True)}
    layer = {"TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(32, 4, 64)}
    whole = {"Transformer": lambda: nn.Transformer(32, 4, 1, 1, 64, batch_first=True)}
    return (attention | layer | whole)[name]()


@pytest.mark.parametrize("name", ["MultiheadAttention", "TransformerEncoderLayer", "Transformer"])
def test_torch_writes_parents_last(name):
    """As constructors do: the attention around a Linear has the last word on its bias."""
    module, torchs = resets(name), dict(resets(name).named_parameters())
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(9.0)
    mf.initialize(module, TORCH, seed=3)
    for path, weight in module.named_parameters():
        like = torchs[path]
        assert weight.eq(0).all() == like.eq(0).all(), path
        if weight.eq(like).all():
            continue
        # Of n > 30 uniform or normal values, the sample's spread is within a factor of 2 of the law's.
        assert 0.5 < weight.std() / like.std() < 2, path
        if path.endswith("in_proj_weight"):
            assert weight.abs().max() <= (6 / (32 + 96)) ** 0.5


def test_a_parent_s_reset_writes_only_what_is_torch_s():
    class Parent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(3, 2)
            self.g = nn.Parameter(torch.zeros(2))

        def reset_parameters(self) -> None:
            self.g.copy_(self.lin.weight.norm(dim=1))
            self.lin.weight.fill_(7.0)
            self.lin.bias.mul_(10.0)

    own, ones = Parent(), {"params": {"g": "torch"}, "bias": "torch"}
    mf.initialize(own, ones | {"scheme": "ones"}, seed=1)
    assert own.lin.weight.eq(1).all()
    assert torch.allclose(own.g, torch.full((2,), 3**0.5))
    lin = nn.Linear(3, 2)
    with torch.no_grad(), keyed_globals(1, "lin.", "reset_parameters"):
        lin.reset_parameters()
    assert torch.equal(own.lin.bias, 10 * lin.bias)
    mf.initialize(own, ones | {"scheme": "torch"}, seed=1)
    assert own.lin.weight.eq(7).all()


def test_torch_must_write_what_it_fills():
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))

        def reset_parameters(self) -> None:
            self.a.fill_(1.0)

    assert refused(Half(), {"params": {"?": "torch"}}) == [
        ("MF026", "init.params.?", "`torch` cannot fill b (2,): no `reset_parameters` around it writes it")
    ]


def test_a_reset_with_arguments_is_not_a_reset():
    class Needy(nn.Linear):
        def reset_parameters(self, std: float = 1.0, *names: str) -> None:
            nn.init.constant_(self.weight, std)

    class Net(nn.Sequential):
        def reset_parameters(self, std: float) -> None:
            raise AssertionError("never called")

    net = Net(Needy(3, 2, bias=False))
    mf.initialize(net, "torch")
    assert net[0].weight.eq(1).all()


def test_torch_is_drawn_in_float64_for_parameters_that_are():
    rnn = nn.LSTM(3, 40, dtype=torch.float64)
    assert mf.initialize(rnn, TORCH, seed=2).ok
    bound = 1 / 40**0.5
    for weight in rnn.parameters():
        assert not torch.equal(weight, weight.float().double())
        assert bound * 0.8 < weight.abs().max() <= bound


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_torch_is_drawn_in_float32(dtype):
    single, other = (nn.LSTM(3, 40, dtype=kind) for kind in (torch.float32, dtype))
    for rnn in (single, other):
        mf.initialize(rnn, TORCH, seed=2)
    for path, weight in other.named_parameters():
        assert weight.dtype == dtype
        assert torch.equal(weight, single.get_parameter(path).to(dtype)), path


def test_torch_needs_a_reset_parameters():
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, 3))

    assert refused(Bare(), "torch") == [
        ("MF026", "init", "`torch` cannot fill weight (2, 3): its module has no `reset_parameters`")
    ]


def test_a_reset_that_fails_leaves_the_module_whole():
    class Failing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, 3))
            self.bias = nn.Parameter(torch.zeros(2))

        def reset_parameters(self) -> None:
            raise ZeroDivisionError("by design")

    module = Failing()
    weight, bias = module.weight, module.bias
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        mf.initialize(module, {"scheme": "torch", "bias": "zeros"})
    assert module.weight is weight
    assert module.bias is bias
    assert torch.equal(torch.get_rng_state(), state)


# --- what cannot be written -------------------------------------------------------------------------------------------


def test_the_meta_device_is_refused():
    assert refused(nn.Linear(3, 2, device="meta"), NORMAL) == [
        ("MF094", "weight", "`weight` is on the meta device: there is no memory to fill"),
        ("MF094", "bias", "`bias` is on the meta device: there is no memory to fill"),
    ]


def test_parameters_without_a_shape_are_refused():
    assert refused_lazily(nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(3))) == [
        ("MF094", "1.weight", "`1.weight` has no shape yet: its lazy layer has not run"),
        ("MF094", "1.bias", "`1.bias` has no shape yet: its lazy layer has not run"),
    ]


def refused_lazily(module: nn.Module) -> list[tuple[str, str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(module, NORMAL)
    assert all("run the module once" in problem.hint for problem in caught.value.problems)
    return [(problem.code, problem.path, problem.message) for problem in caught.value.problems]


def test_expanded_parameters_are_refused():
    net = nn.Linear(3, 4)
    net.weight = nn.Parameter(torch.zeros(1, 3).expand(4, 3))
    assert refused(net, NORMAL) == [
        ("MF094", "weight", "`weight` overlaps itself: several elements share one place in memory")
    ]
    assert mf.initialize(net, {"scheme": "keep"}).ok


def test_complex_parameters_are_refused():
    found = refused(nn.Linear(3, 2, bias=False, dtype=torch.complex64), NORMAL)
    assert found == [
        ("MF026", "init", "`normal` cannot fill weight (2, 3): values are drawn as real numbers, but it is complex64")
    ]


def test_all_problems_at_once():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(4, 3))

        def forward(self, x: Tensor) -> Tensor:
            return x

    net = nn.Sequential(Own(), nn.Linear(3, 2, device="meta"), nn.utils.spectral_norm(nn.Linear(4, 4)))
    codes = [code for code, _, _ in refused(net, NORMAL | {"types": {"Conv2d": "zeros"}})]
    assert sorted(codes) == ["MF023", "MF025", "MF094", "MF094", "MF094"]


def test_a_module_without_parameters():
    assert len(mf.initialize(nn.ReLU(), {})) == 0


def test_a_compiled_module_has_the_names_of_what_was_compiled():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    ledger = mf.initialize(torch.compile(net, backend="eager"), "orthogonal")
    assert [entry.path for entry in ledger] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert mf.digest(net) == mf.digest(_initialised(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))))
    assert mf.verify(torch.compile(net, backend="eager"), ledger).ok


def _initialised(net):
    mf.initialize(net, "orthogonal")
    return net
