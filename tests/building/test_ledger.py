"""The ledger tells the truth: no false alarm on sound parameters, and a scheme that lies is caught."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import modelforge as mf
from modelforge.inits.base import Matrix, Matrixwise, Moments
from modelforge.inits.registry import register_initializer, unregister_initializer
from tests.models import INIT, MODELS, spec

Draw = Callable[[Tensor, torch.Generator], None]


@pytest.fixture
def promising() -> Iterator[Callable[[Moments, Draw], str]]:
    """Registers a scheme that promises one thing and does another."""

    def register(promised: Moments, draw: Draw) -> str:
        @register_initializer("promising")
        class Promising(Matrixwise):
            """What the test wants."""

            def moments(self, matrix: Matrix) -> Moments:
                return promised

            def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
                draw(out, generator)

        return Promising.scheme

    yield register
    unregister_initializer("promising")


def ledger_of(shape: tuple[int, int], init: Any, seed: int = 0, dtype: torch.dtype = torch.float32) -> mf.Ledger:
    return mf.initialize(nn.utils.skip_init(nn.Linear, shape[1], shape[0], bias=False, dtype=dtype), init, seed=seed)


NORMAL = Moments(mean=0.0, std=0.1)


@pytest.mark.parametrize(
    ("promised", "draw"),
    [
        (NORMAL, lambda out, generator: out.normal_(0, 0.105, generator=generator)),
        (NORMAL, lambda out, generator: out.normal_(0, 0.095, generator=generator)),
        (NORMAL, lambda out, generator: out.normal_(0.005, 0.1, generator=generator)),
        (NORMAL, lambda out, generator: out.fill_(0.0)),
        (NORMAL, lambda out, generator: out.normal_(0, 0.1, generator=generator).view(-1)[0].fill_(float("nan"))),
        (NORMAL, lambda out, generator: out.normal_(0, 0.1, generator=generator).view(-1)[0].fill_(float("inf"))),
        (Moments(0.0, 0.1, exact_std=True), lambda out, generator: out.normal_(0, 0.1002, generator=generator)),
        (Moments(1.0, 0.0), lambda out, generator: out.fill_(1.01)),
        (Moments(), lambda out, generator: out.fill_(float("nan"))),
    ],
    ids=["wide", "narrow", "off", "constant", "nan", "infinite", "not exact", "wrong constant", "unpromised nan"],
)
def test_a_lie_is_caught(promising, promised, draw):
    scheme = promising(promised, draw)
    # 40,000 elements: the error of a standard deviation is 0.35 %, of a mean 0.5 %.
    ledger = ledger_of((200, 200), scheme)
    assert not ledger.ok
    assert [entry.path for entry in ledger.failures] == ["weight"]
    assert "fail" in str(ledger)


def test_a_build_does_not_hide_a_lie(promising):
    scheme = promising(NORMAL, lambda out, generator: out.fill_(0.0))
    layers = {
        "sound": {"type": "Linear", "out_features": 50, "init": "xavier"},
        "lie": {"type": "Linear", "out_features": 50},
    }
    model = mf.build(mf.parse({"input": {"shape": [50]}, "layers": layers}, init=scheme))
    assert [entry.path for entry in model.ledger.failures] == ["lie.weight"]


@pytest.mark.parametrize(
    ("promised", "draw"),
    [
        (NORMAL, lambda out, generator: out.normal_(0, 0.1, generator=generator)),
        (Moments(3.0, 0.0), lambda out, generator: out.fill_(3.0)),
        (Moments(), lambda out, generator: out.normal_(2, 7, generator=generator)),
    ],
)
def test_the_truth_passes(promising, promised, draw):
    entry = ledger_of((200, 200), promising(promised, draw))["weight"]
    assert entry.verdict == ("unpromised" if promised.mean is None else "pass")


SCHEMES: list[dict[str, Any]] = [
    {"scheme": "normal", "mean": 0.5, "std": 0.02},
    {"scheme": "uniform", "low": -1.0, "high": 3.0},
    {"scheme": "truncated_normal", "std": 1.0},
    {"scheme": "xavier", "distribution": "normal"},
    {"scheme": "constant", "value": 0.1},
]


@pytest.mark.parametrize("init", SCHEMES, ids=lambda init: init["scheme"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_false_alarms(init, dtype):
    # 200 seeds at a chance of about 2e-9 each; small samples, where tails are heaviest.
    for shape in ((1, 1), (2, 3), (30, 30)):
        for seed in range(200 if dtype == torch.float32 else 50):
            ledger = ledger_of(shape, init, seed, dtype)
            assert ledger.ok, f"seed {seed}\n{ledger}"


@pytest.mark.parametrize(
    "init", ["orthogonal", {"scheme": "sparse", "sparsity": 0.8, "std": 0.1}], ids=["orthogonal", "sparse"]
)
def test_no_false_alarms_of_whole_matrices(init):
    for shape in ((2, 3), (3, 2), (20, 20), (5, 40)):
        for seed in range(50):
            ledger = ledger_of(shape, init, seed)
            assert ledger.ok, f"seed {seed}\n{ledger}"


def test_measured_is_what_torch_measures():
    model = mf.build(spec("cnn"))
    for path, weight in model.named_parameters():
        entry = model.ledger[path]
        assert entry.measured_mean == pytest.approx(weight.mean().item(), rel=1e-3, abs=1e-6)
        assert entry.measured_std == pytest.approx(weight.std(correction=0).item(), rel=1e-3)
        assert abs(entry.measured_mean - entry.target_mean) <= entry.mean_tolerance
        assert entry.shape == tuple(weight.shape)


@pytest.mark.parametrize(("scale", "offset"), [(1e-6, 0.0), (1e-3, 1e3), (1e-20, 0.0), (1e18, 0.0)])
def test_measuring_survives_extreme_numbers(scale, offset):
    entry = ledger_of((100, 100), {"scheme": "normal", "mean": offset, "std": scale})["weight"]
    assert entry.verdict == "pass"
    assert entry.measured_mean == pytest.approx(offset, rel=1e-4, abs=5 * scale / 100)
    # float32 near 1000 has steps of 6e-5
    assert entry.measured_std == pytest.approx(scale, rel=0.03)


def test_gates_are_a_mixture():
    layers = {
        "rnn": {"type": "LSTM", "hidden_size": 10, "init": {"bias": {"scheme": "gates", "forget": 1.0, "output": -1.0}}}
    }
    ledger = mf.build(mf.parse({"input": {"shape": [5, 3]}, "layers": layers}, init="xavier")).ledger
    entry = ledger["rnn.bias_ih_l0"]
    # A quarter at 1, a quarter at -1, half at 0.
    assert (entry.target_mean, entry.target_std) == (0.0, pytest.approx(0.5**0.5))
    assert (entry.measured_mean, entry.measured_std) == (pytest.approx(0.0), pytest.approx(0.5**0.5))
    assert entry.verdict == "pass"
    assert entry.matrices == ("i", "f", "g", "o")
    second = ledger["rnn.bias_hh_l0"]
    assert (second.target_mean, second.target_std, second.measured_std) == (0.0, 0.0, 0.0)


def test_blocks_of_several_scales_are_one_mixture():
    layers = {"attend": {"type": "MultiheadAttention", "num_heads": 2}}
    inputs = {"query": {"shape": [5, 64]}, "key": {"shape": [5, 64]}}
    layers["attend"]["inputs"] = ["query", "key"]
    model = mf.build(mf.parse({"input": inputs, "layers": layers}, init={"scheme": "xavier", "gain": 2.0}))
    entry = model.ledger["attend.in_proj_weight"]
    # Each of q, k and v is a matrix of 64 × 64 of its own, so not the 192 × 64 that a stacked weight looks like.
    assert entry.target_std == pytest.approx(2 * (2 / 128) ** 0.5)
    assert entry.verdict == "pass"


def test_a_padding_row_does_not_count():
    words = nn.Embedding(20, 50, padding_idx=4)
    entry = mf.initialize(words, {"embedding": {"scheme": "normal", "mean": 2.0, "std": 0.1}})["weight"]
    free = torch.cat([words.weight[:4], words.weight[5:]])
    assert entry.measured_mean == pytest.approx(free.mean().item(), rel=1e-5)
    assert entry.measured_std == pytest.approx(free.std(correction=0).item(), rel=1e-4)
    assert (entry.target_mean, entry.target_std) == (2.0, 0.1)


def test_entries_name_their_rule_and_numbers():
    entry = mf.build(spec("mlp")).ledger["hidden.weight"]
    assert (entry.rule, entry.scheme, entry.role, entry.dtype) == ("init", "kaiming", "weight", "float32")
    assert entry.numbers["fan_in"] == 32
    assert entry.to_dict()["numbers"]["fan_in"] == 32


@pytest.mark.parametrize("name", MODELS)
def test_a_ledger_is_a_value(name):
    ledger = mf.build(spec(name)).ledger
    assert pickle.loads(pickle.dumps(ledger)).to_dict() == ledger.to_dict()
    assert copy.deepcopy(ledger) is ledger
    assert ledger.to_dict() == mf.build(spec(name)).ledger.to_dict()
    assert len(ledger) == len(list(ledger)) == len(ledger.to_dict()["parameters"])
    with pytest.raises(KeyError):
        ledger["no.such.path"]


def test_the_seed_is_on_record():
    assert mf.build(spec("mlp"), seed=3).ledger.seed == 3
    assert mf.initialize(nn.Linear(2, 2), INIT, seed=4).seed == 4


def test_entries_are_frozen():
    entry = mf.initialize(nn.Linear(3, 2), {"scheme": "xavier"})["weight"]
    with pytest.raises(TypeError, match="read-only"):
        entry.numbers["gain"] = 2.0
    assert pickle.loads(pickle.dumps(entry)) == entry
    assert isinstance(hash(entry), int)


@pytest.mark.parametrize("init", ["orthogonal", {"scheme": "normal", "std": 0.02}])
def test_large_parameters_are_measured_exactly(init):
    entry = mf.initialize(nn.Linear(1 << 19, 64, bias=False), init)["weight"]
    assert entry.verdict == "pass"
    if init == "orthogonal":
        assert entry.measured_std == pytest.approx(entry.target_std, rel=1e-6)


def test_a_tied_parameter_answers_to_each_of_its_names():
    net = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    net["head"].weight = net["embed"].weight
    ledger = mf.initialize(net, {"scheme": "normal", "std": 0.1})
    assert ledger["head.weight"] is ledger["embed.weight"]
    assert ledger["embed.weight"].aliases == ("head.weight",)
    assert ledger.to_dict()["parameters"][0]["aliases"] == ["head.weight"]
    assert len(ledger) == 1


def test_a_name_that_is_not_in_the_ledger_has_a_hint():
    ledger = mf.initialize(torch.nn.Sequential(torch.nn.Linear(2, 2)), "kaiming")
    with pytest.raises(KeyError, match=r"the ledger has no parameter '0.weigth': did you mean `0.weight`\?"):
        ledger["0.weigth"]
    assert "0.weight" in ledger
    assert ledger["0.weight"] in ledger
    assert "0.weigth" not in ledger


@pytest.mark.parametrize(
    ("how", "value"),
    [("keep", torch.nan), ("keep", torch.inf), ("torch", torch.inf), ("a file", torch.nan), ("a file", torch.inf)],
)
def test_what_fails_says_why(how: str, value: float, tmp_path: Path):
    class Own(nn.Linear):
        def reset_parameters(self) -> None:
            nn.init.constant_(self.weight, value)
            nn.init.zeros_(self.bias)

    net: Any = Own(3, 2)
    save_file(net.state_dict(), tmp_path / "start.safetensors")
    init = {
        "keep": "keep",
        "torch": "torch",
        "a file": {"scheme": "pretrained", "path": str(tmp_path / "start.safetensors")},
    }
    ledger = mf.initialize(net, init[how] if how != "torch" else {"scheme": "torch", "bias": "torch"})
    entry = ledger["weight"]
    assert (entry.verdict, entry.reason) == ("fail", "values that are not finite")
    (problem,) = mf.verify(net, ledger).problems
    assert problem.message.endswith("were not as promised when it was filled: values that are not finite")
