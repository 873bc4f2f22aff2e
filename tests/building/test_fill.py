"""Filling: each decided parameter is written once, by a scheme or by its module's own reset; what is left out shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.core.rng import keyed_globals
from modelforge.inits import Matrix, Matrixwise, Moments, registry
from tests.building.test_initialize import refused
from tests.models import MODELS, spec

TORCH = {"scheme": "torch", "bias": "torch", "scale": "torch", "embedding": "torch"}


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


def test_torch_must_write_all_that_it_fills():
    class Row(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.zeros(4, 3))

        def reset_parameters(self) -> None:
            self.a[1].fill_(1.0)

    net = Row()
    assert refused(net, {"params": {"?": "torch"}}) == [
        (
            "MF026",
            "init.params.?",
            "`torch` cannot fill a (4, 3): no `reset_parameters` around it writes 9 of its 12 values",
        )
    ]
    assert net.a.eq(0).all()


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


@pytest.mark.parametrize(
    "write",
    [lambda out: None, lambda out: torch.zeros_like(out), lambda out: out[:-1].zero_(), lambda out: out.resize_(9)],
    ids=["nothing", "elsewhere", "not all", "resized"],
)
@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
def test_what_was_not_written_fails(write: Callable[[Tensor], object]) -> None:
    @mf.register_initializer("forgetful")
    class Forgetful(Matrixwise):
        """Writes less than it should.

        Formula: none
        Source: this test
        """

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
            write(out)

    try:
        ledger = mf.initialize(nn.Linear(4, 4), "forgetful")
    finally:
        registry.unregister_initializer("forgetful")
    assert not ledger.ok
    assert [entry.path for entry in ledger.failures] == ["weight"]


def test_zeros_do_not_pass_for_a_few_random_values() -> None:
    @mf.register_initializer("silent")
    class Silent(Matrixwise):
        """Promises a spread and writes zeros.

        Formula: w = 0
        Source: this test
        """

        def moments(self, matrix: Matrix) -> Moments:
            return Moments(mean=0.0, std=0.1)

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
            out.zero_()

    try:
        ledgers = [mf.initialize(nn.Linear(1, rows, bias=False), "silent") for rows in (4, 64, 1000)]
    finally:
        registry.unregister_initializer("silent")
    assert not any(ledger.ok for ledger in ledgers)
