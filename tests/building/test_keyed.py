"""The value of element i of a parameter is a function of (seed, path, i) alone."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.building import draw
from modelforge.building.draw import _run
from modelforge.inits import Matrix, Matrixwise, register_initializer, unregister_initializer
from modelforge.layers.register import unregister_layer
from tests.models import INIT, MODELS, spec

LINEAR = {"type": "Linear", "out_features": 6}
TORCH = {"scheme": "torch", "bias": "torch", "scale": "torch", "embedding": "torch"}
RANDOM = {"scheme": "normal", "std": 0.1, "bias": {"scheme": "uniform", "low": 0.0, "high": 1.0}}
each = pytest.mark.parametrize("name", MODELS)


def values(module: nn.Module) -> dict[str, Tensor]:
    return {path: weight.detach().clone() for path, weight in module.named_parameters()}


def built(layers: dict[str, Any], *shape: int, init: Any = None, **options: Any) -> dict[str, Tensor]:
    spec = mf.parse({"input": {"shape": list(shape)}, "layers": layers}, init=RANDOM if init is None else init)
    return values(mf.build(spec, **options))


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    shared = first.keys() & second.keys()
    assert shared
    for path in shared:
        assert torch.equal(first[path], second[path]), path


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert_same(first, second)


BASE = {"a": LINEAR, "b": LINEAR, "act": "ReLU", "c": LINEAR}


@pytest.mark.parametrize(
    "layers",
    [
        {"new": LINEAR, **BASE},
        {**BASE, "new": {"type": "Residual", "layers": {"lin": LINEAR}}},
        {"a": LINEAR, "norm": "LayerNorm", "b": LINEAR, "c": LINEAR},
        {"c": LINEAR, "a": LINEAR, "b": LINEAR},
        {"b": LINEAR},
        {"a": LINEAR, "b": dict(LINEAR, bias=False), "c": dict(LINEAR, init="orthogonal")},
    ],
    ids=["before", "behind", "between", "order", "alone", "others changed"],
)
def test_other_layers_do_not_matter(layers):
    changed = {"c.weight"} if "init" in layers.get("c", {}) else set()
    expected = {path: value for path, value in built(BASE, 6).items() if path not in changed}
    assert_same(expected, built(layers, 6))


@each
def test_number_of_cores(name, monkeypatch):
    expected = values(mf.build(spec(name)))
    for cores in (1, 2, 7):
        monkeypatch.setattr(draw, "num_cores", lambda cores=cores: cores)
        assert_equal(values(mf.build(spec(name))), expected)


@pytest.mark.parametrize("threads", [1, 3])
def test_number_of_torch_threads(threads):
    layers = {"big": {"type": "Linear", "out_features": 700}, "square": {"type": "Linear", "out_features": 700}}
    init = {"scheme": "orthogonal"}
    expected = built(layers, 300, init=init)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_equal(built(layers, 300, init=init), expected)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@each
def test_eager_and_meta_give_the_same(name):
    model = mf.build(spec(name))
    expected = values(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(7.0)
    mf.initialize(model, INIT)
    assert_equal(values(model), expected)


@pytest.mark.parametrize("init", [INIT, TORCH], ids=["drawn", "torch"])
def test_the_defaults_of_the_process_do_not_matter(init):
    expected = values(mf.build(spec("lstm", init)))
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            assert_equal(values(mf.build(spec("lstm", init))), expected)
            assert torch.empty(1).is_meta
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_buffers_that_a_constructor_draws():
    """Random Fourier features hold a fixed random matrix: the seed and the path decide it."""

    @mf.register_layer(axes="features", infer={"dim": -1})
    class Fourier(nn.Module):
        def __init__(self, dim: int) -> None:
            super().__init__()
            self.register_buffer("frequencies", torch.randn(dim, 4))

        def forward(self, x: Tensor) -> Tensor:
            return (x @ self.frequencies).sin()

    try:
        layers = {"one": "Fourier", "two": "Fourier"}
        plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}))
        torch.manual_seed(1)
        first = mf.build(plan, seed=1)
        torch.manual_seed(2)
        again, other = mf.build(plan, seed=1), mf.build(plan, seed=2)
        alone = mf.build(mf.parse({"input": {"shape": [4]}, "layers": {"two": "Fourier"}}), seed=1)
    finally:
        unregister_layer("Fourier")
    assert_equal(dict(first.named_buffers()), dict(again.named_buffers()))
    assert torch.equal(first.two.frequencies, alone.two.frequencies)
    assert not torch.equal(first.one.frequencies, first.two.frequencies)
    assert not torch.equal(first.one.frequencies, other.one.frequencies)


def test_threads_that_build_at_once():
    """The second begins while the first draws; each finds and leaves the process's settings as they were."""

    @register_initializer("slow")
    class Slow(Matrixwise):
        """Takes its time."""

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
            time.sleep(0.2)
            out.fill_(1.0)

    layers = {"a": LINEAR | {"init": "slow"}, "b": LINEAR | {"init": "torch"}}
    plan = mf.plan(mf.parse({"input": {"shape": [3]}, "layers": layers}))
    expected = values(mf.build(plan))
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    builds: list[dict[str, Tensor]] = []
    inherited: list[int] = []

    def work(delay: float) -> None:
        time.sleep(delay)
        builds.append(values(mf.build(plan)))

    torch.set_num_threads(3)
    try:
        run_threads([lambda: work(0.0), lambda: work(0.1)])
        run_threads([lambda: inherited.append(torch.get_num_threads())])
        assert inherited == [3]
    finally:
        torch.set_num_threads(threads)
        unregister_initializer("slow")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() is torch.float32
    assert len(builds) == 2
    for build in builds:
        assert_equal(build, expected)


def run_threads(targets: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_an_interrupt_stops_the_other_threads(monkeypatch):
    """Ctrl-C while the work is handed out: no thread is left, and what was not begun is not done."""
    begun: list[int] = []

    class Slow:
        cost, by_torch = 1, False

        def run(self) -> None:
            begun.append(1)
            time.sleep(0.01)

    class Interrupted(threading.Thread):
        num_started = 0

        def start(self) -> None:
            Interrupted.num_started += 1
            if Interrupted.num_started == 3:
                raise KeyboardInterrupt
            super().start()

    monkeypatch.setattr(draw, "num_cores", lambda: 4)
    monkeypatch.setattr(threading, "Thread", Interrupted)
    before, num_threads = threading.active_count(), torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        _run([Slow() for _ in range(1000)])  # pyright: ignore[reportArgumentType]  # all it uses of a job
    assert threading.active_count() == before
    assert torch.get_num_threads() == num_threads
    assert len(begun) < 100


def test_a_hand_written_module_gets_the_same():
    net = nn.Sequential()
    for name in ("a", "b", "act", "c"):
        net.add_module(name, nn.ReLU() if name == "act" else nn.Linear(6, 6))
    mf.initialize(net, RANDOM)
    assert_equal(values(net), built(BASE, 6))


@each
def test_the_global_generators_neither_matter_nor_change(name):
    expected = values(mf.build(spec(name)))
    torch.manual_seed(123)
    torch.randn(7)
    random.seed(3)
    np.random.seed(3)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    parsed = spec(name)
    plan = mf.plan(parsed)
    model = mf.build(plan)
    mf.initialize(model, INIT)
    mf.initialize(model, TORCH)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]
    assert_equal(values(mf.build(plan)), expected)


@each
def test_the_seed_matters(name):
    first, second = values(mf.build(spec(name))), values(mf.build(spec(name), seed=1))
    for path, value in first.items():
        assert not torch.equal(value, second[path]), path
    assert_equal(values(mf.build(mf.parse(MODELS[name], init=INIT, seed=1))), second)


@each
def test_no_two_parameters_are_equal(name):
    weights = list(values(mf.build(spec(name))).items())
    for index, (path, value) in enumerate(weights):
        for other_path, other in weights[:index]:
            if other.shape == value.shape and value.numel() > 1:
                assert not torch.equal(value, other), (path, other_path)


@pytest.mark.parametrize(
    "scheme", ["orthogonal", {"scheme": "normal", "std": 1.0}, {"scheme": "sparse", "sparsity": 0.5}]
)
def test_no_two_blocks_are_equal(scheme):
    model = mf.build(
        mf.parse({"input": {"shape": [5, 6]}, "layers": {"rnn": {"type": "LSTM", "hidden_size": 6}}}, init=scheme)
    )
    gates = [gate for weight in (model.rnn.weight_ih_l0, model.rnn.weight_hh_l0) for gate in weight.chunk(4)]
    assert not any(torch.equal(gate, other) for index, gate in enumerate(gates) for other in gates[:index])


@each
@pytest.mark.parametrize("init", [INIT, TORCH], ids=["drawn", "torch"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_other_dtypes_are_the_same_values_rounded(name, dtype, init):
    expected = values(mf.build(spec(name, init)))
    model = mf.build(spec(name, init), dtype=dtype)
    assert model.ledger.ok, str(model.ledger)
    assert_equal(values(model), {path: value.to(dtype) for path, value in expected.items()})


@each
def test_float64_has_the_same_values_with_more_digits(name):
    expected = values(mf.build(spec(name, INIT)))
    model = mf.build(spec(name, INIT), dtype=torch.float64)
    assert model.ledger.ok, str(model.ledger)
    for path, value in values(model).items():
        scale = max(float(value.abs().max()), 1e-30) if value.numel() else 1.0
        assert (value - expected[path].double()).abs().max() <= 3e-6 * scale, path


def test_long_parameters_are_cut_where_it_does_not_show():
    # 300,000 elements: several chunks. A shorter parameter of the same path is a prefix of it.
    long, short = (built({"a": {"type": "Linear", "out_features": out}}, 100) for out in (3000, 1700))
    assert torch.equal(long["a.weight"][:1700], short["a.weight"])
    chunks = long["a.weight"].view(-1).split(1 << 17)
    assert not torch.equal(chunks[0][:1000], chunks[1][:1000])


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_memory_layout_does_not_matter(memory_format):
    def convolution() -> nn.Conv2d:
        return nn.Conv2d(4, 6, 3).to(memory_format=memory_format)

    for init in (RANDOM, {"scheme": "orthogonal", "bias": "zeros"}):
        first, second = convolution(), nn.Conv2d(4, 6, 3)
        assert mf.initialize(first, init).ok
        mf.initialize(second, init)
        assert_equal(values(first), values(second))


@pytest.mark.parametrize("padding", [0, 3, 9, -1, None])
def test_padding_rows_are_zero_and_touch_nothing_else(padding):
    def table(padding: int | None, init: Any) -> Tensor:
        args = {} if padding is None else {"padding_idx": padding}
        layers = {"words": {"type": "Embedding", "num_embeddings": 10, "embedding_dim": 4, **args}}
        model = mf.build(mf.parse({"input": {"shape": [3], "dtype": "int64"}, "layers": layers}, init=init))
        assert model.ledger.ok, str(model.ledger)
        return model.words.weight.detach()

    for init in (
        {"scheme": "xavier"},
        {"scheme": "xavier", "embedding": {"scheme": "normal", "mean": 5.0, "std": 1.0}},
    ):
        plain, padded = table(None, init), table(padding, init)
        assert plain.ne(0).all()
        if padding is not None:
            assert torch.equal(padded[padding], torch.zeros(4))
            plain[padding] = 0.0
        assert torch.equal(padded, plain)


@pytest.mark.parametrize("padding", [0, 4, 9])
def test_a_blockwise_scheme_leaves_the_padding_row_zero(padding):
    args = {"num_embeddings": 10, "embedding_dim": 12, "padding_idx": padding}
    init = {"scheme": "xavier", "embedding": "orthogonal"}
    layers = {"words": {"type": "Embedding", **args}}
    model = mf.build(mf.parse({"input": {"shape": [3], "dtype": "int64"}, "layers": layers}, init=init))
    assert model.ledger.ok, str(model.ledger)
    weight = model.words.weight.detach()
    assert torch.equal(weight[padding], torch.zeros(12))
    assert weight.norm(dim=1).gt(0).sum() == 9
    entry = model.ledger["words.weight"]
    assert entry.measured_std == pytest.approx(entry.target_std, rel=0.2)


def test_a_transposed_table_keeps_its_padding_row():
    words = nn.Embedding(10, 4, padding_idx=3)
    words.weight = nn.Parameter(torch.empty(4, 10).T)
    expected = nn.Embedding(10, 4, padding_idx=3)
    for module in (words, expected):
        assert mf.initialize(module, {"embedding": {"scheme": "normal", "mean": 1.0, "std": 1.0}}).ok
    assert torch.equal(words.weight, expected.weight)
    assert not words.weight[3].any()
