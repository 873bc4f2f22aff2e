"""Every element of every parameter is written exactly once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.building import draw
from modelforge.building.checksum import checksum, digest_of
from modelforge.building.draw import _jobs, _regions
from modelforge.building.shards import shard_of
from modelforge.core.errors import Refusal
from modelforge.inits.base import Matrix, Matrixwise
from modelforge.inits.registry import register_initializer, unregister_initializer
from modelforge.inits.schemes.identity import Diagonal
from modelforge.layers import unregister_layer
from tests.models import INIT, MODELS, spec

SCHEMES: dict[str, Any] = {
    "constant": {"scheme": "constant", "value": 0.1},
    "uniform": {"scheme": "uniform", "low": -0.1, "high": 0.1},
    "normal": {"scheme": "normal", "std": 0.1},
    "truncated_normal": {"scheme": "truncated_normal", "std": 0.1},
    "sparse": {"scheme": "sparse", "sparsity": 0.5, "std": 0.1},
    "xavier": "xavier",
    "orthogonal": "orthogonal",
    "torch": {"scheme": "torch", "bias": "torch", "scale": "torch", "embedding": "torch"},
    "defaults": {"scheme": "kaiming", "gain": "relu"},
    "random": INIT,
}
SENTINELS = {torch.float32: 1e30, torch.float64: 1e300, torch.bfloat16: 1e30, torch.float16: 6e4}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", MODELS)
def test_nothing_keeps_what_was_there(name, scheme):
    for dtype in (
        (torch.float32, torch.bfloat16, torch.float16) if scheme in ("defaults", "random") else (torch.float32,)
    ):
        model = mf.build(spec(name), dtype=dtype)
        with torch.no_grad():
            for weight in model.parameters():
                weight.fill_(SENTINELS[dtype])
        ledger = mf.initialize(model, SCHEMES[scheme])
        assert ledger.ok, str(ledger)
        assert [entry.path for entry in ledger] == [path for path, _ in model.named_parameters()]
        for path, weight in model.named_parameters():
            assert weight.isfinite().all(), path
            assert weight.abs().max() < 1e3, path


def test_fresh_memory_is_all_written(monkeypatch):
    real = torch.empty

    def poisoned(*args: Any, **kwargs: Any) -> Tensor:
        made = real(*args, **kwargs)
        return made.fill_(float("nan")) if made.is_floating_point() else made

    monkeypatch.setattr(torch, "empty", poisoned)
    for name in MODELS:
        model = mf.build(spec(name))
        assert all(weight.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("scheme", ["normal", "orthogonal", "sparse", "random", "defaults"])
@pytest.mark.parametrize("name", MODELS)
def test_each_element_is_drawn_once(name, scheme, monkeypatch):
    # Chunks of 32, so that parameters of any size have several.
    monkeypatch.setattr(draw, "CHUNK", 32)
    plan = mf.plan(spec(name, SCHEMES[scheme]))
    for item in plan.parameters:
        written = Counter[int]()
        tensor = torch.empty(item.shape)
        for job in _jobs(item, list(_regions(item)), shard_of(tensor), 0):
            tensor.fill_(float("nan"))
            job.run()
            written.update(torch.nonzero(~tensor.view(-1).isnan()).view(-1).tolist())
        assert written == Counter(range(tensor.numel())), item.path


@pytest.mark.parametrize(("scheme", "shape"), [("eye", (100, 24)), ("eye", (24, 100)), ("dirac", (40, 6, 3, 3))])
def test_rows_that_are_filled_apart_are_those_of_the_whole(scheme, shape, monkeypatch):
    layer = (
        nn.Conv2d(shape[1], shape[0], shape[2], bias=False) if len(shape) > 2 else nn.Linear(*shape[::-1], bias=False)
    )
    whole, jobs = mf.initialize(layer, scheme), 0
    expected = layer.weight.detach().clone()
    monkeypatch.setattr(draw, "CHUNK", 64)
    monkeypatch.setattr(draw, "BLOCK", 32)
    real = draw._draw_rows

    def counted(*args: Any) -> Any:
        nonlocal jobs
        jobs += 1
        return real(*args)

    monkeypatch.setattr(draw, "_draw_rows", counted)
    with torch.no_grad():
        layer.weight.fill_(torch.nan)
    parts = mf.initialize(layer, scheme)
    assert jobs > 1
    assert torch.equal(layer.weight, expected)
    assert parts.ok
    assert parts["weight"].digest == whole["weight"].digest
    assert parts["weight"].measured_std == pytest.approx(whole["weight"].measured_std)


def test_a_value_beside_the_diagonal_of_some_rows_shows(monkeypatch):
    sound = Diagonal.fill

    def spoiled(self: Any, out: Tensor, *rest: Any) -> None:
        sound(self, out, *rest)
        out[-1, 0] = 0.5

    monkeypatch.setattr(draw, "CHUNK", 64)
    monkeypatch.setattr(Diagonal, "fill", spoiled)
    entry = mf.initialize(nn.Linear(64, 64, bias=False), "eye")["weight"]
    assert (entry.verdict, entry.reason) == ("fail", "4 values that are not those of its formula")


@pytest.mark.parametrize("value", [0.1, -0.0, 1e-9, 1.0000001, 7e4])
@pytest.mark.parametrize("shape", [(), (3,), (1024,), (5, 300), (70, 1000)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_constants_are_filled_and_known_without_a_pass_over_memory(dtype, shape, value, monkeypatch):
    def refuse(*args: Any) -> Any:
        raise AssertionError("all values are read")

    monkeypatch.setattr(draw, "measure", refuse)
    monkeypatch.setattr(draw, "checksum", refuse)
    module = nn.Module()
    module.weight = nn.Parameter(torch.empty(shape, dtype=dtype))
    entry = mf.initialize(module, {"scheme": "keep", "params": {"weight": {"scheme": "constant", "value": value}}})[
        "weight"
    ]
    single = torch.float64 if dtype == torch.float64 else torch.float32
    expected = torch.full(shape, value, dtype=single).to(dtype)
    assert torch.equal(module.weight, expected)
    assert torch.equal(module.weight.signbit(), expected.signbit())
    assert entry.digest == digest_of(checksum(module.weight))
    assert entry.measured_mean == pytest.approx(float(expected.view(-1)[0]), rel=1e-12)
    assert entry.verdict == ("pass" if expected.isfinite().all() else "fail")


def test_another_value_among_constants_is_looked_for(monkeypatch):
    sound = torch.Tensor.fill_

    def spoiled(self: Tensor, value: Any) -> Tensor:
        sound(self, value)
        if len(self) > 20_000:
            self[1 << 14] = 0.25
        return self

    monkeypatch.setattr(torch.Tensor, "fill_", spoiled)
    entry = mf.initialize(nn.Linear(200, 200, bias=False), {"scheme": "constant", "value": 0.5})["weight"]
    assert (entry.verdict, entry.measured_mean) == ("fail", pytest.approx(0.5 - 0.25 / 40_000))


@pytest.mark.parametrize("side", [8, 300])
def test_autocast_around_it_does_not_matter(side):
    """Few values are drawn in the caller's thread, where autocast would round the factors of products."""
    layer = nn.Linear(side, side)
    mf.initialize(layer, "orthogonal")
    expected = layer.weight.detach().clone()
    with torch.autocast("cpu", torch.bfloat16):
        ledger = mf.initialize(layer, "orthogonal")
    assert ledger.ok
    assert torch.equal(layer.weight, expected)


@pytest.mark.parametrize("name", MODELS)
def test_each_parameter_has_one_entry_and_one_rule(name):
    plan = mf.plan(spec(name))
    paths = [item.path for item in plan.parameters]
    assert len(set(paths)) == len(paths)
    for item in plan.parameters:
        assert [link.verdict for link in item.chain].count("wins") == 1
    model = mf.build(plan)
    assert [entry.path for entry in model.ledger] == [path for path, _ in model.named_parameters()]


def test_a_blockwise_scheme_is_asked_once_for_each_block():
    asked: list[tuple[str, tuple[int, ...]]] = []
    try:

        @register_initializer("counting")
        class Counting(Matrixwise):
            """Notes what it fills."""

            def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
                asked.append((matrix.name, tuple(out.shape)))
                out.fill_(1.0)

        mf.build(
            mf.parse(
                {"input": {"shape": [5, 3]}, "layers": {"rnn": {"type": "LSTM", "hidden_size": 4}}}, init="counting"
            )
        )
    finally:
        unregister_initializer("counting")
    weights = [(gate, (4, width)) for width in (3, 4) for gate in "ifgo"]
    # The smallest a second time, on trial.
    assert sorted(asked[:-1]) == sorted(weights)
    assert asked[-1] in weights[:4]


def test_an_error_in_a_scheme_is_raised():
    try:

        @register_initializer("broken")
        class Broken(Matrixwise):
            """Fails."""

            def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
                raise ZeroDivisionError("by design")

        net = nn.Sequential(*(nn.Linear(3, 3) for _ in range(5)))
        with pytest.raises(ZeroDivisionError, match="by design"):
            mf.initialize(net, "broken")
    finally:
        unregister_initializer("broken")


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_zero_size_parameters(shape):
    for scheme in ("constant", "uniform", "normal", "truncated_normal", "sparse", "xavier", "orthogonal"):
        layer = nn.utils.skip_init(nn.Linear, shape[1], shape[0])
        ledger = mf.initialize(layer, SCHEMES[scheme])
        assert ledger.ok
        assert ledger["weight"].measured_mean is None


def test_a_layer_without_outputs_builds():
    layers = {"none": {"type": "Linear", "out_features": 0}, "head": {"type": "Linear", "out_features": 2}}
    model = mf.build(mf.parse({"input": {"shape": [3]}, "layers": layers}, init="xavier"))
    assert torch.equal(model(torch.ones(2, 3)), torch.zeros(2, 2))


def test_a_scheme_may_refuse_while_it_fills():
    @register_initializer("square_only")
    class SquareOnly(Matrixwise):
        """Fills square matrices."""

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
            del generator
            if matrix.shape[0] != matrix.shape[1]:
                raise Refusal("it needs a square matrix", "choose another scheme")
            out.zero_()

    try:
        with pytest.raises(mf.ForgeError) as caught:
            mf.initialize(nn.Linear(3, 2), "square_only")
    finally:
        unregister_initializer("square_only")
    [problem] = caught.value.problems
    assert (problem.code, problem.key, problem.hint) == ("MF026", "init", "choose another scheme")
    assert problem.message == "`square_only` cannot fill weight (2, 3): it needs a square matrix"


def test_a_scheme_that_draws_from_the_global_generator_is_refused():
    @register_initializer("global")
    class Global(Matrixwise):
        """Draws where it must not."""

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
            del matrix, generator
            out.normal_()

    try:
        with pytest.raises(mf.ForgeError, match="`global` draws from torch's global generator"):
            mf.initialize(nn.Linear(3, 2), "global")
    finally:
        unregister_initializer("global")


STREAM = np.random.default_rng(0)
OTHERS: dict[str, Callable[[int], Any]] = {
    "numpy": lambda count: np.random.standard_normal(count),  # what must not be
    "numpy's own stream": lambda count: STREAM.standard_normal(count),
    "python": lambda count: [random.random() for _ in range(count)],
    "the system": lambda count: np.random.default_rng().standard_normal(count),
}


@pytest.mark.parametrize("source", OTHERS)
def test_a_scheme_that_draws_from_anything_else_is_refused(source: str):
    filled: list[int] = []

    @register_initializer("elsewhere")
    class Elsewhere(Matrixwise):
        """Draws where it must not."""

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
            del matrix, generator
            filled.append(out.numel())
            out.copy_(torch.as_tensor(OTHERS[source](out.numel()), dtype=out.dtype).view(out.shape))

    net = nn.Sequential(nn.Linear(8, 8), nn.Linear(3, 2), nn.Linear(8, 8))
    try:
        with pytest.raises(mf.ForgeError) as caught:
            mf.initialize(net, "elsewhere")
    finally:
        unregister_initializer("elsewhere")
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("MF026", "init")
    assert problem.message == "`elsewhere` gives other values for the same key: they are not a function of the seed"
    assert sorted(filled) == [6, 6, 64, 64]


def test_a_plan_whose_layer_was_defined_again_is_refused():
    def define(factor: int) -> None:
        class Scaled(nn.Module):
            """Scales."""

            def __init__(self, dim: int) -> None:
                super().__init__()
                self.scale = nn.Parameter(torch.empty(factor * dim))

            def forward(self, x: Tensor) -> Tensor:
                return x * self.scale[: x.shape[-1]]

        mf.register_layer(Scaled, axes="... features", infer={"dim": -1}, roles={"scale": "scale"})

    define(1)
    try:
        plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": {"own": "Scaled"}}))
        define(2)
        with pytest.raises(mf.ForgeError, match=r"`own.scale` has shape \(8,\), but was planned as \(4,\)"):
            mf.build(plan)
    finally:
        unregister_layer("Scaled")
