"""mf.calibrate: data-dependent initialisation as a second pass."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf

ORTHOGONAL = {"scheme": "orthogonal"}


@pytest.fixture(autouse=True)
def known_defaults() -> Iterator[None]:
    """What modules draw for themselves is the same in every run."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def outputs(model: nn.Module, batch: Any, kinds: tuple[type, ...] = (nn.Linear, nn.Conv2d)) -> list[Tensor]:
    """What each layer makes of a batch in evaluation mode, measured without modelforge."""
    found: list[Tensor] = []
    handles = [
        module.register_forward_hook(lambda _, __, output: found.append(output.double()))
        for module in model.modules()
        if isinstance(module, kinds)
    ]
    modes = [(module, module.training) for module in model.modules()]
    with torch.no_grad():
        model.eval()(batch)
    for module, mode in modes:
        module.training = mode
    for handle in handles:
        handle.remove()
    return found


def variances(model: nn.Module, batch: Any) -> list[float]:
    return [output.var(correction=0).item() for output in outputs(model, batch)]


def refused(model: nn.Module, batch: Any, method: Any = "lsuv") -> list[tuple[str, str, str]]:
    """What is wrong, after checking that nothing was changed."""
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    random = torch.get_rng_state()
    with pytest.raises(mf.ForgeError) as caught:
        mf.calibrate(model, batch, method)
    for name, value in model.state_dict().items():
        assert value.is_meta or torch.equal(value, before[name]), name
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), random)
    return [(problem.code, problem.key, problem.message) for problem in caught.value.problems]


def mlp(depth: int, width: int, act: type[nn.Module] = nn.GELU) -> nn.Sequential:
    return nn.Sequential(*(layer for _ in range(depth) for layer in (nn.Linear(width, width), act())))


# --- lsuv -------------------------------------------------------------------------------------------------------------


def test_lsuv_brings_fifty_gelu_layers_to_unit_variance():
    layers: dict[str, Any] = {}
    for index in range(50):
        layers |= {f"dense_{index}": {"type": "Linear", "out_features": 64}, f"act_{index}": "GELU"}
    model = mf.build(mf.parse({"input": {"shape": [64]}, "layers": layers}, init=ORTHOGONAL))
    batch = normal(256, 64)
    untouched = variances(model, batch)
    assert max(abs(variance - 1) for variance in untouched) > 0.9  # the signal dies
    ledger = mf.calibrate(model, batch, "lsuv")
    measured = variances(model, batch)
    assert max(abs(variance - 1) for variance in measured) < 0.1
    done = [ledger[f"dense_{index}.weight"].calibration for index in range(50)]
    assert all(record.passes <= 10 and record.tolerance == 0.1 for record in done)
    assert [record.variance_after for record in done] == pytest.approx(measured, rel=1e-5)
    assert done[0].variance_before == pytest.approx(untouched[0], rel=1e-5)
    assert all(entry.verdict == "pass" for entry in ledger)
    assert model.ledger is ledger
    shown = json.loads(json.dumps(ledger.to_dict()))["parameters"][0]["calibration"]
    assert (shown["method"], shown["passes"], shown["left"]) == ("lsuv", done[0].passes, "")


def test_lsuv_multiplies_and_does_not_draw():
    model = mlp(4, 32, nn.Tanh)
    before = mf.initialize(model, ORTHOGONAL)
    old = copy.deepcopy(model.state_dict())
    ledger = mf.calibrate(model, normal(64, 32), ledger=before)
    for index in range(0, 8, 2):
        name = f"{index}.weight"
        factor = ledger[name].calibration.factor
        torch.testing.assert_close(model[index].weight.data, old[name] * factor)
        for number in ("target_std", "measured_std"):
            assert getattr(ledger[name], number) == pytest.approx(getattr(before[name], number) * factor, rel=1e-5)
        assert ledger[name].scheme == "orthogonal"
        assert torch.equal(model[index].bias, old[f"{index}.bias"])
        assert ledger[f"{index}.bias"] == before[f"{index}.bias"]
    assert before["2.weight"].calibration is None


def test_each_layer_reads_what_the_layers_in_front_make_now():
    model = mlp(3, 40, nn.ReLU)
    mf.initialize(model, {"scheme": "normal", "std": 1e-3})
    ledger = mf.calibrate(model, 5 * normal(100, 40))
    assert variances(model, 5 * normal(100, 40)) == pytest.approx([1, 1, 1], abs=1e-4)
    assert [ledger[f"{index}.weight"].calibration.passes for index in (0, 2, 4)] == [1, 1, 1]


def test_what_is_good_enough_stays():
    model = nn.Sequential(nn.Linear(400, 300))
    mf.initialize(model, {"scheme": "lecun"})
    old = model[0].weight.detach().clone()
    ledger = mf.calibrate(model, normal(500, 400))
    record = ledger["0.weight"].calibration
    assert (record.passes, record.factor) == (0, 1.0)
    assert record.variance_before == record.variance_after == pytest.approx(1, abs=0.1)
    assert torch.equal(model[0].weight, old)


def test_a_tolerance_that_is_not_reached_fails_in_the_ledger():
    model = nn.Sequential(nn.Linear(30, 20))
    mf.initialize(model, {"scheme": "lecun", "bias": {"scheme": "normal", "std": 3.0}})
    ledger = mf.calibrate(model, normal(100, 30), {"method": "lsuv", "max_passes": 3, "tolerance": 0.01})
    record = ledger["0.weight"].calibration
    assert record.passes == 3
    [variance] = variances(model, normal(100, 30))
    assert variance > 1.01  # the bias alone varies more, and lsuv leaves it
    assert record.variance_after == pytest.approx(variance, rel=1e-5)
    assert [entry.path for entry in ledger.failures] == ["0.weight"]
    assert not ledger.ok


def test_convolutions_and_transposed_ones():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.ConvTranspose2d(8, 6, 2, stride=2, groups=2), nn.Flatten())
    mf.initialize(model, {"scheme": "xavier", "gain": 5.0})
    mf.calibrate(model, normal(16, 3, 8, 8))
    found = outputs(model, normal(16, 3, 8, 8), (nn.Conv2d, nn.ConvTranspose2d))
    assert [output.var(correction=0).item() for output in found] == pytest.approx([1, 1], abs=1e-4)


def test_bfloat16_is_rounded_once():
    model = mlp(2, 64).to(torch.bfloat16)
    mf.initialize(model, ORTHOGONAL)
    old = model[0].weight.detach().clone()
    batch = (0.01 * normal(200, 64)).bfloat16()
    ledger = mf.calibrate(model, batch)
    record = ledger["0.weight"].calibration
    assert record.passes <= 2
    assert torch.equal(model[0].weight, (old.float() * torch.tensor(record.factor, dtype=torch.float32)).bfloat16())
    assert all(abs(variance - 1) < 0.1 for variance in variances(model, batch))


def test_a_ledger_of_what_is_there():
    model = mlp(2, 16)
    ledger = mf.calibrate(model, normal(64, 16))
    assert [(entry.scheme, entry.verdict) for entry in ledger] == [("keep", "pass"), ("keep", "unpromised")] * 2
    with pytest.raises(ValueError, match=r"the ledger is of another model: it has no entry for 0\.weight, 2\.weight"):
        mf.calibrate(model, normal(64, 16), ledger=mf.initialize(nn.Linear(2, 2), ORTHOGONAL))


# --- order, and modules that are called several times -----------------------------------------------------------------


class Shuffled(nn.Module):
    """Runs in another order than it declares, and one layer several times."""

    def __init__(self, calls: Sequence[str]) -> None:
        super().__init__()
        self.calls = calls
        self.late, self.twice, self.early, self.never = (nn.Linear(48, 48) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        for name in self.calls:
            x = torch.tanh(2 * getattr(self, name)(x))
        return x


def pooled(model: Shuffled, batch: Tensor) -> dict[str, float]:
    """Variance over all calls of each layer."""
    found = outputs(model, batch)
    names = dict.fromkeys(model.calls)
    each = {name: [out for call, out in zip(model.calls, found, strict=True) if call == name] for name in names}
    return {name: torch.cat(outs).var(correction=0).item() for name, outs in each.items()}


@pytest.mark.parametrize(
    "calls", [("early", "late"), ("early", "twice", "late", "twice"), ("twice", "twice", "early", "twice", "late")]
)
def test_execution_order_is_measured_and_several_calls_are_pooled(calls):
    model = Shuffled(calls)
    mf.initialize(model, {"scheme": "orthogonal", "gain": 7.0})
    ledger = mf.calibrate(model, normal(200, 48), {"method": "lsuv", "tolerance": 0.02})
    measured = pooled(model, normal(200, 48))
    assert measured == pytest.approx(dict.fromkeys(measured, 1.0), abs=0.02)
    for name, variance in measured.items():
        assert ledger[f"{name}.weight"].calibration.variance_after == pytest.approx(variance, rel=1e-5)
    left = ledger["never.weight"].calibration
    assert (left.factor, left.passes, left.variance_after) == (1.0, 0, None)
    assert left.left == "this Linear is never called: what holds it may compute with it directly"


def test_the_hooks_of_others_count():
    model = mlp(2, 32)
    model[0].register_forward_hook(lambda module, args, output: 10 * output)
    mf.initialize(model, ORTHOGONAL)
    ledger = mf.calibrate(model, normal(200, 32))
    record = ledger["0.weight"].calibration
    assert record.factor == pytest.approx(0.1, rel=0.05)
    assert record.variance_after == pytest.approx(1, abs=0.1)
    assert len(model[0]._forward_hooks) == 1


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("how", ["whole", "in place", "a part"])
def test_a_compiled_model_is_calibrated_as_the_module_that_was_compiled(given, how):
    net, alike, batch = mlp(3, 16), mlp(3, 16), normal(64, 16)
    started, _ = mf.initialize(net, "orthogonal"), mf.initialize(alike, "orthogonal")
    compiled = torch.compile(net, backend="eager")
    if how == "in place":
        compiled = net
        net.compile(backend="eager")
    if how == "a part":
        compiled = net
        net[2] = torch.compile(net[2], backend="eager")
    ledger = mf.calibrate(compiled, batch, ledger=started if given else None)
    assert {entry.path for entry in ledger if entry.calibration} == {"0.weight", "2.weight", "4.weight"}
    mf.calibrate(alike, batch)
    assert mf.digest(net) == mf.digest(alike)


def test_a_branch_that_is_not_always_taken():
    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.runs = 0
            self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            self.runs += 1
            return self.second(self.first(x) if self.runs == 1 else x)

    model = Fickle()
    mf.initialize(model, {"scheme": "orthogonal", "gain": 3.0})
    old = model.first.weight.detach().clone()
    ledger = mf.calibrate(model, normal(100, 8))
    assert ledger["first.weight"].calibration.left == "its module is not called in every run"
    assert torch.equal(model.first.weight, old)
    assert ledger["second.weight"].calibration.variance_after == pytest.approx(1, abs=0.01)


# --- what is left -----------------------------------------------------------------------------------------------------


def test_nothing_to_calibrate():
    assert refused(nn.LSTM(4, 4), normal(3, 2, 4)) == [
        ("MF122", "calibrate", "there is nothing that `lsuv` can calibrate here")
    ]


# --- modes, buffers, randomness ---------------------------------------------------------------------------------------


class Restless(nn.Module):
    """Draws in evaluation too, and writes a buffer whenever it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(32, 32)
        self.norm = nn.BatchNorm1d(32)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("runs", torch.zeros((), dtype=torch.int64))
        self.last = nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        self.runs = self.runs + 1
        return self.last(self.drop(self.norm(self.dense(x))) + torch.randn(32))


def test_modes_buffers_and_the_random_state_are_what_they_were():
    model = Restless()
    mf.initialize(model, ORTHOGONAL)
    model.norm.eval()
    other = copy.deepcopy(model)
    buffers = {name: (value, value.clone()) for name, value in model.named_buffers()}
    random = torch.get_rng_state()
    first = mf.calibrate(model, normal(64, 32))
    assert torch.equal(torch.get_rng_state(), random)
    torch.manual_seed(99)
    second = mf.calibrate(other, normal(64, 32))
    assert first == second
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), other.parameters(), strict=True))
    assert (model.training, model.norm.training, model.drop.training) == (True, False, True)
    for name, value in model.named_buffers():
        assert value is buffers[name][0]
        assert torch.equal(value, buffers[name][1])
    assert all(weight.requires_grad and weight.grad_fn is None for weight in model.parameters())


def test_dropout_is_off_and_batch_norm_uses_its_running_statistics():
    model = nn.Sequential(nn.Dropout(0.9), nn.Linear(32, 32), nn.BatchNorm1d(32), nn.Linear(32, 32))
    mf.initialize(model, ORTHOGONAL)
    model[2].running_var.fill_(100.0)
    batch = 4 * normal(256, 32)
    ledger = mf.calibrate(model, batch)
    first, last = (ledger[name].calibration for name in ("1.weight", "3.weight"))
    assert first.variance_before == pytest.approx(batch.var(correction=0).item(), rel=1e-4)
    assert last.variance_before == pytest.approx(0.01, rel=0.1)  # 1 / 100: not renewed by the batch
    assert variances(model, batch) == pytest.approx([1, 1], abs=1e-4)


# --- per channel ------------------------------------------------------------------------------------------------------


def by_channel(output: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    flat = output.movedim(dim, 0).flatten(1)
    return flat.mean(1), flat.var(1, correction=0)


@pytest.mark.parametrize(
    ("layer", "shape", "dim"),
    [
        (nn.Linear(6, 5), (50, 6), -1),
        (nn.Linear(6, 5), (10, 7, 6), -1),
        (nn.Conv1d(6, 4, 3, groups=2), (20, 6, 9), 1),
        (nn.Conv2d(3, 5, 3), (8, 3, 7, 7), 1),
        (nn.ConvTranspose1d(6, 4, 3, stride=2), (20, 6, 9), 1),
        (nn.ConvTranspose2d(6, 4, 3, groups=2), (8, 6, 5, 5), 1),
    ],
    ids=lambda item: f"{type(item).__name__}" if isinstance(item, nn.Module) else None,
)
def test_every_channel_has_mean_0_and_variance_1(layer, shape, dim):
    model = nn.Sequential(layer, nn.ReLU())
    mf.initialize(model, {"scheme": "xavier", "gain": 3.0, "bias": {"scheme": "uniform", "low": -2.0, "high": 2.0}})
    batch = 2 * normal(*shape) + 1
    old = copy.deepcopy(layer)
    ledger = mf.calibrate(model, batch, "per_channel")
    with torch.no_grad():
        mean, variance = by_channel(layer(batch).double(), dim)
        raw = old(batch)
        old_mean, old_variance = by_channel(raw.double(), dim)
    assert mean.abs().max() < 1e-5
    assert (variance - 1).abs().max() < 1e-5
    record = ledger["0.weight"].calibration
    assert record.passes == 1
    factors = old_variance.rsqrt()
    assert record.factors == pytest.approx((factors.min().item(), factors.max().item()), rel=1e-4)
    assert record.factor == pytest.approx((record.factors[0] * record.factors[1]) ** 0.5)
    torch.testing.assert_close(layer.bias.double(), (old.bias.double() - old_mean) * factors, rtol=1e-4, atol=1e-5)
    assert ledger["0.bias"].calibration == record
    assert (ledger["0.weight"].verdict, ledger["0.weight"].target_std) == ("pass", None)
    assert ledger["0.bias"].measured_mean == pytest.approx(layer.bias.mean().item(), abs=1e-6)


def test_layers_without_a_bias_keep_their_means_and_are_left():
    model = nn.Sequential(nn.Linear(6, 5, bias=False), nn.Linear(5, 4))
    ledger = mf.calibrate(model, normal(50, 6), "per_channel")
    assert ledger["0.weight"].calibration.left == "`per_channel` moves means, and this Linear has no bias"
    mean, variance = by_channel(outputs(model, normal(50, 6))[1], -1)
    assert mean.abs().max() < 1e-5
    assert (variance - 1).abs().max() < 1e-5


def test_per_channel_over_several_calls():
    model = Shuffled(("early", "twice", "late", "twice"))
    mf.initialize(model, {"scheme": "orthogonal", "gain": 2.0})
    ledger = mf.calibrate(model, normal(400, 48), {"method": "per_channel", "tolerance": 0.05, "max_passes": 50})
    twice = torch.cat([outputs(model, normal(400, 48))[index] for index in (1, 3)])
    mean, variance = by_channel(twice, -1)
    assert mean.abs().max() < 0.05
    assert (variance - 1).abs().max() < 0.05
    assert ledger["twice.weight"].verdict == "pass"


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_is_a_tensor_or_arguments_by_place_or_by_name():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(8, 8)

        def forward(self, left: Tensor, right: Tensor | None = None) -> Tensor:
            return self.dense(left if right is None else left + right)

    factors: list[float] = []
    x = normal(64, 8)
    for batch in (x, (x / 2, x / 2), [x], {"right": x / 2, "left": x / 2}):
        model = Two()
        mf.initialize(model, {"scheme": "orthogonal", "gain": 4.0})
        factors.append(mf.calibrate(model, batch)["dense.weight"].calibration.factor)
    assert factors == pytest.approx([factors[0]] * 4, rel=1e-6)


# --- wrong input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("lsvu", ("MF120", "calibrate.method", "unknown calibration `lsvu`")),
        ({"tolerance": 0.1}, ("MF120", "calibrate", "a calibration needs a `method`")),
        (
            {"method": "lsuv", "tolerence": 0.1},
            ("MF121", "calibrate.tolerence", "calibration `lsuv` has no field `tolerence`"),
        ),
        (
            {"method": "lsuv", "tolerance": 0.0},
            ("MF121", "calibrate.tolerance", "`tolerance` must be greater than 0, but is 0.0"),
        ),
        (
            {"method": "lsuv", "max_passes": "ten"},
            ("MF121", "calibrate.max_passes", "`max_passes` must be a whole number, but is 'ten'"),
        ),
    ],
)
def test_wrong_methods(method, expected):
    assert refused(nn.Linear(3, 2), normal(5, 3), method) == [expected]


def test_every_wrong_field_at_once_with_its_way_out():
    with pytest.raises(mf.ForgeError) as caught:
        mf.calibrate(nn.Linear(3, 2), normal(5, 3), {"method": "lsuv", "max_pases": 3, "tolerance": 2.0})
    assert [problem.key for problem in caught.value.problems] == ["calibrate.tolerance", "calibrate.max_pases"]
    assert caught.value.problems[1].hint == "did you mean `max_passes`?"
    with pytest.raises(mf.ForgeError, match=r"did you mean `lsuv`\?"):
        mf.calibrate(nn.Linear(3, 2), normal(5, 3), "lsvu")


def test_a_batch_of_the_wrong_shape():
    model = mf.build(
        mf.parse({"input": {"shape": [4]}, "layers": {"head": {"type": "Linear", "out_features": 2}}}, init=ORTHOGONAL)
    )
    [(code, path, message)] = refused(model, normal(5, 3))
    assert (code, path) == ("MF050", "batch")
    assert message.startswith("Model cannot run on this batch (5, 3) of float32: mat1 and mat2 shapes cannot be multi")
    [(_, _, message)] = refused(nn.Linear(3, 2), {"x": normal(5, 3)})
    assert message.startswith("Linear cannot run on this batch {x: (5, 3) of float32}: ")


def test_an_empty_batch():
    assert refused(nn.Linear(3, 2), normal(0, 3)) == [
        ("MF050", "batch", "the batch is empty: `weight` makes nothing of it")
    ]


def test_what_does_not_vary_is_named_and_everything_is_put_back():
    model = mlp(3, 8)
    mf.initialize(model, {"scheme": "orthogonal", "gain": 3.0, "params": {"2.weight": "zeros"}})
    assert refused(model, normal(20, 8)) == [
        (
            "MF123",
            "4.weight",
            "`lsuv` cannot calibrate `4.weight`: the output of Linear does not vary over the batch",
        )
    ]
    assert refused(model, normal(1, 8), "per_channel") == [
        (
            "MF123",
            "0.weight",
            "`per_channel` cannot calibrate `0.weight`: "
            "8 of 8 channels of the output of Linear do not vary over the batch",
        )
    ]


def test_a_kernel_of_zeros_is_left():
    """As of Fixup: the last kernel of a branch, and the head, start at 0."""
    model = mlp(3, 8)
    ledger = mf.initialize(model, {"scheme": "orthogonal", "gain": 3.0, "params": {"4.weight": "zeros"}})
    after = mf.calibrate(model, normal(20, 8), ledger=ledger)
    left = after["4.weight"].calibration
    assert left is not None
    assert left.left == "it starts at zeros, which stay zeros whatever they are multiplied by"
    assert variances(model, normal(20, 8)) == [pytest.approx(1, abs=0.1), pytest.approx(1, abs=0.1), 0]
    assert after.ok


def test_what_is_not_finite_is_named_and_everything_is_put_back():
    model = mlp(2, 8)
    mf.initialize(model, {"scheme": "orthogonal", "gain": 3.0})
    with torch.no_grad():
        model[2].weight[0, 0] = torch.inf
        model[2].bias.zero_()
    found = refused(model, normal(20, 8))
    assert found == [("MF123", "2.weight", "what Linear makes of the batch with `2.weight` is not finite")]


def test_parameters_without_memory():
    with torch.device("meta"):
        model = nn.Linear(3, 2)
    assert refused(model, normal(5, 3)) == [
        ("MF094", "weight", "`weight` has no values yet: there is nothing to calibrate"),
        ("MF094", "bias", "`bias` has no values yet: there is nothing to calibrate"),
    ]
    with pytest.raises(mf.ForgeError, match="`weight` has no values yet"):
        mf.calibrate(nn.LazyLinear(2, bias=False), normal(5, 3))
