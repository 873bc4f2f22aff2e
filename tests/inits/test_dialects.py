"""The schemes of other libraries: their formulas, their bounds, and where torch itself misses its own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from torch import nn

import modelforge as mf
from modelforge import inits
from modelforge.core.complaints import problems
from modelforge.core.errors import Refusal
from modelforge.core.rng import CHUNK, Key
from modelforge.inits import Matrix
from modelforge.inits.laws.truncated_normal import TruncatedNormal
from tests.inits.laws.test_law import draw

# --- variance scaling -------------------------------------------------------------------------------------------------

BLOCK = Matrix(shape=(12, 50), fan_in=50.0, fan_out=12.0)
STDDEV = 0.87962566103423978
"""Of a standard normal law cut to ±2: the constant in Keras and in JAX."""


@pytest.mark.parametrize(
    ("config", "std", "bound"),
    [
        ({"scheme": "torch.xavier_uniform"}, 0.1796053, 0.3110855),
        ({"scheme": "torch.xavier_uniform", "gain": "torch.tanh"}, 0.2993422, 0.5184758),
        ({"scheme": "torch.xavier_normal"}, 0.1796053, None),
        ({"scheme": "torch.xavier_normal", "gain": 2}, 0.3592106, None),
        ({"scheme": "torch.kaiming_uniform"}, 0.2, 0.3464102),
        ({"scheme": "torch.kaiming_uniform", "a": math.sqrt(5)}, 0.0816497, 0.1414214),
        ({"scheme": "torch.kaiming_normal"}, 0.2, None),
        ({"scheme": "torch.kaiming_normal", "mode": "fan_out"}, 0.4082483, None),
        ({"scheme": "torch.kaiming_normal", "a": 0.2}, 0.1961161, None),
        ({"scheme": "keras.glorot_uniform"}, 0.1796053, 0.3110855),
        ({"scheme": "keras.glorot_normal"}, 0.1796053, 0.4083676),
        ({"scheme": "keras.he_uniform"}, 0.2, 0.3464102),
        ({"scheme": "keras.he_normal"}, 0.2, 0.4547389),
        ({"scheme": "keras.lecun_uniform"}, 0.1414214, 0.2449490),
        ({"scheme": "keras.lecun_normal"}, 0.1414214, 0.3215490),
    ],
    ids=str,
)
def test_formulas(config: dict[str, Any], std: float, bound: float | None):
    fill = inits.create(config).resolve(BLOCK)
    assert (fill.mean, fill.std) == (0.0, pytest.approx(std, abs=1e-7))
    bounds = (fill.numbers.get("low"), fill.numbers.get("high"))
    assert bounds == (
        (None, None) if bound is None else (pytest.approx(-bound, abs=1e-7), pytest.approx(bound, abs=1e-7))
    )


@pytest.mark.parametrize(("name", "scale", "fan"), [("glorot", 1, 31), ("he", 2, 50), ("lecun", 1, 50)])
def test_the_normal_laws_of_keras_and_jax_are_cut_and_corrected(name: str, scale: float, fan: float):
    keras, jax = (inits.create({"scheme": f"{library}.{name}_normal"}) for library in ("keras", "jax"))
    fill = keras.resolve(BLOCK)
    assert (fill.std, fill.numbers) == (jax.resolve(BLOCK).std, jax.resolve(BLOCK).numbers)
    sigma = math.sqrt(scale / fan) / STDDEV
    assert fill.numbers["high"] == pytest.approx(2 * sigma, rel=1e-14)
    assert fill.std == pytest.approx(math.sqrt(scale / fan), rel=1e-15)
    assert fill.numbers["truncate"] == 2


@pytest.mark.parametrize("name", ["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"])
@pytest.mark.parametrize("more", [{}, {"torch": True}], ids=["defaults", "with numbers"])
def test_torch_s_own_draws_are_alike(name: str, more: dict[str, Any]):
    fields: dict[str, Any] = {}
    if more:
        fields = {"gain": 1.7} if name.startswith("xavier") else {"a": 0.3, "mode": "fan_out"}
    drawn = getattr(nn.init, f"{name}_")(torch.empty(90, 200), **fields, generator=Key(1).generator())
    ours = torch.empty(90, 200)
    block = Matrix(shape=(90, 200), fan_in=200, fan_out=90)
    inits.create({"scheme": f"torch.{name}", **fields}).resolve(block).draw_(ours, Key(2))
    assert stats.ks_2samp(drawn.view(-1).numpy(), ours.view(-1).numpy()).pvalue > 1e-3


def test_the_ledger_shows_what_was_resolved():
    fill = inits.create({"scheme": "torch.kaiming_uniform", "a": 1.0, "mode": "fan_out"}).resolve(BLOCK)
    assert fill.numbers == {
        "a": 1.0,
        "gain": 1.0,
        "mode": "fan_out",
        "fan": 12.0,
        "fan_in": 50.0,
        "fan_out": 12.0,
        "distribution": "uniform",
        "low": -0.5,
        "high": 0.5,
    }


@pytest.mark.parametrize("scheme", ["torch.kaiming_normal", "keras.he_normal"])
def test_refusals_name_the_scheme(scheme: str):
    with pytest.raises(Refusal, match=f"`{scheme}` needs a matrix, but this is a vector of 8"):
        inits.create({"scheme": scheme}).resolve(Matrix(shape=(8,), fan_in=8, fan_out=8))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"scheme": "torch.kaiming_normal", "mode": "fan_avg"}, "Input should be 'fan_in' or 'fan_out'"),
        ({"scheme": "torch.kaiming_normal", "gain": 2.0}, "Extra inputs are not permitted"),
        ({"scheme": "jax.he_normal", "mode": "fan_in"}, "Extra inputs are not permitted"),
    ],
)
def test_what_the_library_does_not_ask_for_is_refused(config: dict[str, Any], message: str):
    with pytest.raises(ValidationError) as caught:
        inits.create(config)
    assert [error["msg"] for error in caught.value.errors()] == [message]


# --- fans, of every kind of layer -------------------------------------------------------------------------------------


def modules() -> dict[str, nn.Module]:
    """One of each kind that has matrices, large enough for statistics."""
    return {
        "Linear": nn.Linear(60, 90),
        "Bilinear": nn.Bilinear(12, 30, 40),
        "Conv2d": nn.Conv2d(12, 40, (3, 5)),
        "grouped": nn.Conv2d(12, 40, 5, groups=4),
        "depthwise": nn.Conv1d(60, 120, 9, groups=60),
        "ConvTranspose2d": nn.ConvTranspose2d(12, 40, 5, stride=2),
        "grouped transposed": nn.ConvTranspose1d(40, 120, 7, groups=4),
        "Embedding": nn.Embedding(120, 40),
        "EmbeddingBag": nn.EmbeddingBag(120, 40),
        "LSTM": nn.LSTM(30, 40, bidirectional=True, proj_size=20),
        "GRU": nn.GRU(30, 40),
        "RNN": nn.RNN(60, 80),
        "LSTMCell": nn.LSTMCell(30, 40),
        "MultiheadAttention": nn.MultiheadAttention(60, 4),
        "of several widths": nn.MultiheadAttention(60, 4, kdim=70, vdim=80),
    }


KINDS = sorted(modules())
TORCH = [
    ("xavier_uniform", {}),
    ("xavier_normal", {"gain": 1.5}),
    ("kaiming_uniform", {"a": 0.3}),
    ("kaiming_normal", {"mode": "fan_out"}),
]


def matrices(module: nn.Module) -> dict[str, nn.Parameter]:
    return {path: weight for path, weight in module.named_parameters() if weight.ndim > 1}


def filled(module: nn.Module, scheme: str, **fields: Any) -> mf.Ledger:
    init = {"scheme": scheme, **fields}
    return mf.initialize(module, {**init, "embedding": init, "bias": "zeros"})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "fields"), TORCH, ids=[name for name, _ in TORCH])
def test_torch_s_names_give_what_torch_s_functions_give(kind: str, name: str, fields: dict[str, Any]):
    """torch.nn.init on the very parameter, as it is stored: equal fans, and draws that cannot be told apart."""
    module = modules()[kind]
    theirs = {path: weight.detach().clone() for path, weight in matrices(module).items()}
    ledger = filled(module, f"torch.{name}", **fields)
    for path, weight in matrices(module).items():
        fans = nn.init._calculate_fan_in_and_fan_out(weight)
        numbers = ledger[path].numbers
        assert (numbers["fan_in"], numbers["fan_out"]) == fans
        getattr(nn.init, f"{name}_")(theirs[path], **fields, generator=Key(1).generator())
        assert stats.ks_2samp(theirs[path].view(-1).numpy(), weight.detach().view(-1).numpy()).pvalue > 1e-5
    assert ledger.ok


STARTS = ["Linear", "Bilinear", "Conv2d", "grouped", "depthwise", "ConvTranspose2d", "grouped transposed"]


@pytest.mark.parametrize("kind", STARTS)
def test_torch_default_is_what_the_layers_start_with(kind: str):
    module = modules()[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module.reset_parameters()
    (start,) = (weight.detach().clone() for weight in matrices(module).values())
    entry = filled(module, "torch_default")["weight"]
    bound = entry.numbers["high"]
    # Of n values the greatest is within a share of 14/n below the bound, but for a chance of 1e-6.
    assert bound * (1 - 14 / start.numel()) < float(start.abs().max()) <= bound * (1 + 1e-6)
    (weight,) = matrices(module).values()
    assert stats.ks_2samp(start.view(-1).numpy(), weight.detach().view(-1).numpy()).pvalue > 1e-5


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in STARTS])
def test_torch_default_is_a_formula_elsewhere(kind: str):
    module = modules()[kind]
    ledger = filled(module, "torch_default")
    for path, weight in matrices(module).items():
        fan_in, _ = nn.init._calculate_fan_in_and_fan_out(weight)
        assert ledger[path].numbers["high"] == pytest.approx(1 / math.sqrt(fan_in))


def test_a_stored_tensor_that_has_its_inputs_first_is_seen_as_it_is():
    """As Conv1D of transformers stores it: torch's functions take the inputs for outputs, and so do torch's names."""
    blocks = [Matrix((30, 20), fan_in=20, fan_out=30, stored=(20, 90), start=30 * part) for part in range(3)]
    found = [inits.create({"scheme": "torch.xavier_normal"}).resolve(block).std for block in blocks]
    assert found == [pytest.approx(math.sqrt(2 / 110))] * 3


FANS = {
    # From the shapes of the kernels in Keras' layers and in flax.linen, by their compute_fans: dimension -2 and -1,
    # each times all dimensions before.
    "Linear": {"weight": ((60, 90), (60, 90))},
    "Conv2d": {"weight": ((12 * 15, 40 * 15), (12 * 15, 40 * 15))},
    "grouped": {"weight": ((3 * 25, 40 * 25), (3 * 25, 40 * 25))},
    "depthwise": {"weight": ((9, 120 * 9), (9, 120 * 9))},
    # Keras: (5, 5, outputs, inputs); Flax: (5, 5, inputs, outputs).
    "ConvTranspose2d": {"weight": ((40 * 25, 12 * 25), (12 * 25, 40 * 25))},
    "Embedding": {"weight": ((120, 40), (120, 40))},
    "EmbeddingBag": {"weight": ((120, 40), (120, 40))},
    # Keras: (inputs, gates · units); Flax: a kernel a gate.
    "LSTM": {
        "weight_ih_l0": ((30, 160), (30, 40)),
        "weight_hh_l0": ((20, 160), (20, 40)),
        "weight_hr_l0_reverse": ((40, 20), (40, 20)),
    },
    "GRU": {"weight_ih_l0": ((30, 120), (30, 40)), "weight_hh_l0": ((40, 120), (40, 40))},
    "RNN": {"weight_ih_l0": ((60, 80), (60, 80)), "weight_hh_l0": ((80, 80), (80, 80))},
    # Keras: (inputs, heads, size) and (heads, size, outputs); Flax flattens both to (inputs, outputs).
    "MultiheadAttention": {
        "in_proj_weight": ((60 * 4, 60 * 15), (60, 60)),
        "out_proj.weight": ((60, 60 * 4), (60, 60)),
    },
    "of several widths": {
        "q_proj_weight": ((60 * 4, 60 * 15), (60, 60)),
        "k_proj_weight": ((70 * 4, 70 * 15), (70, 60)),
        "v_proj_weight": ((80 * 4, 80 * 15), (80, 60)),
    },
}


@pytest.mark.parametrize("kind", FANS)
@pytest.mark.parametrize(("library", "which"), [("keras", 0), ("jax", 1)])
def test_fans_of_keras_and_of_flax(kind: str, library: str, which: int):
    module = modules()[kind]
    ledger = filled(module, f"{library}.glorot_uniform")
    for path, both in FANS[kind].items():
        fan_in, fan_out = both[which]
        numbers = ledger[path].numbers
        assert (numbers["fan_in"], numbers["fan_out"]) == (fan_in, fan_out)
        assert numbers["high"] == pytest.approx(math.sqrt(6 / (fan_in + fan_out)))
        assert ledger[path].target_std == pytest.approx(math.sqrt(2 / (fan_in + fan_out)))
    assert ledger.ok
    he = filled(modules()[kind], f"{library}.he_normal")
    for path, both in FANS[kind].items():
        assert he[path].target_std == pytest.approx(math.sqrt(2 / both[which][0]))


def test_several_projections_in_one_block_are_as_many_kernels_there():
    known = inits.Attention(("q", "k"), num_heads=4, head_size=5, width=30)
    block = Matrix((40, 30), fan_in=30, fan_out=40, attention=known)
    keras, jax = (inits.create({"scheme": f"{library}.glorot_normal"}).resolve(block) for library in ("keras", "jax"))
    assert (keras.numbers["fan_in"], keras.numbers["fan_out"]) == (30 * 4, 30 * 5)
    assert (jax.numbers["fan_in"], jax.numbers["fan_out"]) == (30, 20)


@pytest.mark.parametrize("library", ["keras", "jax"])
@pytest.mark.parametrize(
    ("module", "what"),
    [
        (nn.Bilinear(3, 4, 5), "no bilinear layer"),
        (nn.ConvTranspose1d(4, 4, 3, groups=2), "no transposed convolution with groups"),
    ],
    ids=["Bilinear", "ConvTranspose1d"],
)
def test_what_the_library_does_not_have_is_refused(library: str, module: nn.Module, what: str):
    name = {"keras": "Keras", "jax": "Flax"}[library]
    with pytest.raises(mf.ForgeError) as caught:
        filled(module, f"{library}.glorot_normal")
    (problem,) = caught.value.problems
    shape = tuple(module.weight.shape)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType, reportCallIssue]  # any of torch's
    message = f"`{library}.glorot_normal` cannot fill weight {shape}: {name} has {what}, so its name means nothing here"
    assert (problem.code, problem.message, problem.hint) == (
        "MF026",
        message,
        "give it a scheme of modelforge's own",
    )


# --- torch.trunc_normal -----------------------------------------------------------------------------------------------

LAWS = [
    TruncatedNormal.between(0.0, 1.0, -2.0, 2.0),
    TruncatedNormal.between(0.0, 0.02, -2.0, 2.0),
    TruncatedNormal.between(1.0, 1.0, -1.0, 0.5),
    TruncatedNormal.between(0.0, 1.0, -0.3, 5.0),
    TruncatedNormal.between(0.0, 1.0, 4.5, 9.0),
    TruncatedNormal.between(0.0, 1.0, 4.7, 1e37),
    TruncatedNormal.between(5.0, 0.5, -1e37, 3.0),
    TruncatedNormal.between(0.0, 1.0, 0.3, 0.3001),
    TruncatedNormal.between(0.0, 1.0, -1e-5, 1e-5),
    TruncatedNormal.between(-2.0, 7.0, -1.0, 0.0),
]
laws = pytest.mark.parametrize("law", LAWS, ids=repr)


@laws
def test_moments_are_those_of_the_truncated_normal_law(law: TruncatedNormal):
    low, high = (law.low - law.location) / law.sigma, (law.high - law.location) / law.sigma
    # Summed, because closed forms cancel for narrow laws.
    z = np.linspace(max(low, -12), min(high, 12), 2_000_001)
    z = (z[1:] + z[:-1]) / 2
    density = np.exp(-(z**2 - np.abs(z).min() ** 2) / 2)
    mean = (density @ z) / density.sum()
    second, fourth = ((density @ (z - mean) ** power) / density.sum() for power in (2, 4))
    assert law.mean == pytest.approx(law.location + law.sigma * mean, rel=1e-9, abs=1e-9 * law.sigma)
    assert law.std == pytest.approx(law.sigma * math.sqrt(second), rel=1e-8)
    assert law.kurtosis == pytest.approx(fourth / second**2, rel=1e-8)
    assert law.unit.mass == pytest.approx(stats.norm.cdf(high) - stats.norm.cdf(low), rel=1e-9, abs=1e-16)


def test_moments_have_the_closed_form_of_the_docstring():
    alpha, beta, phi = -1.5, 0.7, stats.norm.pdf
    mass = stats.norm.cdf(beta) - stats.norm.cdf(alpha)
    mean = (phi(alpha) - phi(beta)) / mass
    variance = 1 + (alpha * phi(alpha) - beta * phi(beta)) / mass - mean**2
    law = TruncatedNormal.between(3.0, 2.0, 3 + 2 * alpha, 3 + 2 * beta)
    assert (law.mean, law.std) == (pytest.approx(3 + 2 * mean, rel=1e-12), pytest.approx(2 * variance**0.5, rel=1e-12))
    assert TruncatedNormal.between(0.0, 1.0, -2.0, 2.0).std == pytest.approx(STDDEV, rel=1e-14)


@laws
def test_values_follow_the_law(law: TruncatedNormal):
    values = draw(law, 50_000).double().numpy()
    assert stats.kstest(values, law.cdf).pvalue > 1e-3


@laws
def test_measured_moments_are_as_stated(law: TruncatedNormal):
    n = 2 * CHUNK
    deviations = (draw(law, n).double() - law.mean) / law.std
    assert abs(deviations.mean().item()) < 4 / math.sqrt(n)
    assert abs(deviations.square().mean().item() - 1) < 4 * math.sqrt((law.kurtosis - 1) / n)


@laws
def test_n_values_are_the_first_n_of_more(law: TruncatedNormal):
    longest = draw(law, CHUNK)
    for n in [*range(35), 2047, 2048, 2049, 32768, 65552, 98303]:
        assert torch.equal(draw(law, n), longest[:n]), f"{n} values are not a prefix"
    assert not torch.equal(draw(law, 100, "other"), longest[:100])


BOUNDS = [
    (mean, std, mean + low * std, mean + high * std)
    for mean in (0.0, -1e5, 0.1)
    for std in (1e-44, 1e-30, 1e-12, 1e-3, 0.7, 1e5, 1e30)
    for low, high in ((-1.0, 1.0), (-4.5, 0.1), (0.0, 4.0), (4.0, 4.5))
    if mean + low * std < mean + high * std
]


@pytest.mark.parametrize(("mean", "std", "low", "high"), BOUNDS)
def test_values_never_leave_their_bounds(mean: float, std: float, low: float, high: float):
    values = draw(TruncatedNormal.between(mean, std, low, high), 5000).double()
    nearest = np.float32(low)
    if any(low <= float(number) <= high for number in (nearest, np.nextafter(nearest, np.float32(np.inf)))):
        assert low <= values.min() <= values.max() <= high
    else:
        assert set(values.tolist()) == {float(np.float32((low + high) / 2))}, "the nearest, where no float32 is within"


def trunc_normal(**fields: float) -> TruncatedNormal:
    return inits.create({"scheme": "torch.trunc_normal", **fields}).law(BLOCK)


def test_torch_s_defaults_are_absolute_and_not_corrected():
    assert trunc_normal() == TruncatedNormal.between(0.0, 1.0, -2.0, 2.0)
    assert trunc_normal(std=0.02).std == pytest.approx(0.02, rel=1e-12)
    fill = inits.create({"scheme": "torch.trunc_normal"}).resolve(BLOCK)
    assert fill.std == pytest.approx(STDDEV)
    assert fill.numbers == {"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0, "low": -2.0, "high": 2.0}


@pytest.mark.parametrize("std", [1e-3, 0.01, 0.02])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_cut_far_away_leaves_no_outliers(std: float, dtype: torch.dtype):
    # Older versions of torch draw values at the bounds: 2000 deviations away for 0.001, a kurtosis of 28,122.
    values = draw(trunc_normal(std=std), 2**21).to(dtype).double()
    assert values.abs().max() < 7 * std
    assert (values / std).pow(4).mean().item() == pytest.approx(3, abs=5 * math.sqrt(96 / 2**21) + 0.02)


@pytest.mark.parametrize(
    "fields", [{}, {"mean": 0.5, "std": 2.0, "a": -1.0, "b": 3.0}, {"mean": 1.5, "a": -0.5, "b": 0.0}]
)
def test_torch_s_own_truncated_draws_are_alike(fields: dict[str, float]):
    drawn = nn.init.trunc_normal_(torch.empty(20_000), **fields, generator=Key(3).generator())
    assert stats.ks_2samp(drawn.numpy(), draw(trunc_normal(**fields), 20_000).numpy()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("fields", "field", "message", "hint"),
    [
        ({"a": 1.0, "b": 1.0}, "b", "must be greater than `a` (1.0), but is 1.0", "exchange them"),
        ({"a": 3.0}, "b", "must be greater than `a` (3.0), but is 2.0", "exchange them"),
        (
            {"std": 0.02, "a": 1.0},
            "b",
            "must leave a share of at least 1e-06 of N(0, 0.02²) above `a` (1), but is 2 and leaves 0",
            "`a` and `b` are values, not multiples of `std`",
        ),
        (
            {"mean": 5.0, "std": 0.5},
            "b",
            "must leave a share of at least 1e-06 of N(5, 0.5²) above `a` (-2), but is 2 and leaves 1e-09",
            "`a` and `b` are values, not multiples of `std`",
        ),
        (
            {"std": 0.0},
            "std",
            "must be greater than 0, but is 0.0",
            "`std`: Standard deviation of the normal law before it is cut",
        ),
    ],
)
def test_a_cut_that_keeps_nothing_is_refused(fields: dict[str, float], field: str, message: str, hint: str):
    with pytest.raises(ValidationError) as caught:
        trunc_normal(**fields)
    (problem,) = problems(caught.value, "init", inits.registry.owner("torch.trunc_normal"))
    assert (problem.key, problem.message, problem.hint) == (f"init.{field}", f"`{field}` {message}", hint)


# --- names with dots --------------------------------------------------------------------------------------------------

DIALECTS = [name for name in (*inits.names(), *inits.aliases()) if "." in name]


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("short", [True, False])
def test_models_are_built_with_them(name: str, short: bool):
    layers = {"a": {"type": "Linear", "out_features": 9}, "b": {"type": "Linear", "out_features": 5, "init": name}}
    model = mf.build(mf.parse({"input": {"shape": [8]}, "layers": layers}, init=name if short else {"scheme": name}))
    assert model.ledger.ok
    assert {model.ledger[path].scheme for path in ("a.weight", "b.weight")} == {inits.get(name).scheme}


def test_an_override_may_name_one(tmp_path: Path):
    (tmp_path / "model").mkdir()
    (tmp_path / "init").mkdir()
    (tmp_path / "config.yaml").write_text("defaults:\n  - model: mlp\n  - init: xavier\n  - _self_\n")
    (tmp_path / "init" / "xavier.yaml").write_text("scheme: xavier\n")
    (tmp_path / "model" / "mlp.yaml").write_text(
        "input: {shape: [8]}\n"
        "layers:\n"
        "  trunk: {type: Linear, out_features: 4}\n"
        "  head: {type: Linear, out_features: 4, init: {scheme: kaiming}}\n"
    )
    overrides = ["init.scheme=torch.kaiming_normal", "model.layers.head.init.scheme=jax.he_normal"]
    model = mf.build(mf.load(tmp_path, overrides=overrides))
    assert [model.ledger[f"{name}.weight"].scheme for name in ("trunk", "head")] == [
        "torch.kaiming_normal",
        "jax.he_normal",
    ]
    refined = mf.build(mf.load(tmp_path, overrides=["+model.layers.head.init.bias=torch.trunc_normal"]))
    assert refined.ledger["head.bias"].scheme == "torch.trunc_normal"


def test_a_name_without_its_library_is_helped():
    with pytest.raises(mf.ForgeError) as caught:
        mf.parse({"input": {"shape": [8]}, "layers": {"a": {"type": "Linear", "out_features": 9}}}, init="he_normal")
    assert caught.value.problems[0].hint.startswith("did you mean `jax.he_normal`")
