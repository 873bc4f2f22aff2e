"""The edge of chaos: the table of critical points, what has none, and deep networks that keep their signal."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.inits import Activation, Matrix, critical_point, find_activation
from tests.inits.matrices import TANH, VECTORS

CRITICAL = {"scheme": "critical", "bias": {"scheme": "critical"}}
# Activation, q*, σ_w², σ_b², V'(q*) where it is known.
TABLE = [
    ("relu", 0.3, 2.0, 0.0, 1.0),
    ("LeakyReLU(0.2)", 1.0, 2 / 1.04, 0.0, 1.0),
    ("linear", 1.0, 1.0, 0.0, 1.0),
    ("tanh", 0.02592, 1.05, 2.01e-5, None),
    ("tanh", 0.57005, 1.76096, 0.05, None),
    ("tanh", 1.0, 2.15330, 0.15096, 0.392),
    ("erf", 1.0, 1.75620, 0.18414, 1 / 3),
    ("gelu", 1.0, 2.19370, 0.06719, 1.067),
    ("silu", 1.0, 2.63517, 0.06247, 1.099),
    ("gelu", (3 + math.sqrt(17)) / 2, 1.98306, 0.17292, 1.0),
    ("silu", 14.3201, 1.98800, 0.55514, 1.0),
]


@pytest.mark.parametrize(("name", "q", "weight", "bias", "slope"), TABLE)
def test_critical_points(name: str, q: float, weight: float, bias: float, slope: float | None):
    point = critical_point(find_activation(name), q)
    assert point.sigma_w**2 == pytest.approx(weight, abs=1e-5)
    assert point.sigma_b**2 == pytest.approx(bias, abs=min(1e-5, 1e-3 * q), rel=1e-3)
    if slope is not None:
        assert point.variance_slope == pytest.approx(slope, abs=1e-3)


def test_erf_in_closed_form():
    """E φ² = (2/π) asin(2q/(1+2q)), E φ'² = (4/π)/√(1+4q), V' = σ_w²·(4/π)/((1+2q)√(1+4q))."""
    for q in (0.1, 1.0, 7.0):
        weight = math.pi / 4 * math.sqrt(1 + 4 * q)
        point = critical_point(find_activation("erf"), q)
        assert point.sigma_w**2 == pytest.approx(weight, rel=1e-10)
        bias = q - weight * 2 / math.pi * math.asin(2 * q / (1 + 2 * q))
        assert point.sigma_b**2 == pytest.approx(bias, rel=1e-9)
        assert point.variance_slope == pytest.approx(1 / (1 + 2 * q), rel=1e-9)


def test_homogeneous_activations_need_no_bias():
    """Exactly none: rounding does not make one."""
    assert critical_point(find_activation("relu"), 3.7).sigma_b == 0
    assert critical_point(find_activation("abs"), 1e-6).sigma_b == 0


@pytest.mark.parametrize(
    ("activation", "q", "reason"),
    [
        ("sigmoid", 1.0, "sigmoid has no critical point at q = 1: σ_b² would be -5.543"),
        ("softplus", 1.0, "softplus has no critical point at q = 1: σ_b² would be -2.14"),
    ],
)
def test_what_has_no_critical_point(activation: str, q: float, reason: str):
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": "critical", "activation": activation, "q": q}).resolve(VECTORS["a vector of 8"])
    assert caught.value.reason == reason
    assert caught.value.hint == "try another `q`, or `lecun` with `gain: auto`, which keeps the forward signal only"


def test_another_q_can_help():
    assert critical_point(find_activation("sigmoid"), 60.0).sigma_b > 0


def test_flat_activations_have_no_critical_point():
    with pytest.raises(Refusal, match="the mean square of the derivative of Sign is 0, so no gain keeps gradients"):
        critical_point(Activation("Sign", torch.sign))


# --- the scheme -------------------------------------------------------------------------------------------------------

WEIGHT = Matrix(shape=(12, 50), fan_in=50.0, fan_out=12.0, activations=TANH, role="weight")
BIAS = Matrix(shape=(12,), fan_in=50.0, fan_out=12.0, activations=TANH, role="bias")
POINT = {
    "activation": "Tanh",
    "q": 1.0,
    "sigma_w": pytest.approx(math.sqrt(2.15330), abs=1e-5),
    "sigma_b": pytest.approx(math.sqrt(0.15096), abs=1e-5),
    "variance_slope": pytest.approx(0.3915, abs=1e-4),
}


def test_numbers():
    scheme = inits.create({"scheme": "critical", "distribution": "truncated_normal"})
    fans = {"mode": "fan_in", "fan": 50.0, "fan_in": 50.0, "fan_out": 12.0}
    law = {"gain": POINT["sigma_w"], "distribution": "truncated_normal", "truncate": 2.0}
    numbers = dict(scheme.resolve(WEIGHT).numbers)
    assert numbers.pop("low") == -numbers.pop("high")
    assert numbers == POINT | fans | law
    assert scheme.resolve(BIAS).numbers == POINT


def test_stated_std():
    scheme = inits.create({"scheme": "critical"})
    assert scheme.resolve(WEIGHT).std == pytest.approx(math.sqrt(2.15330 / 50), abs=1e-6)
    assert scheme.resolve(BIAS).std == pytest.approx(0.38854, abs=1e-5)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (
            Matrix(shape=(8,), fan_in=8, fan_out=8, activations=TANH, role="scale"),
            "`critical` needs a matrix, but this is a vector of 8: it is not a bias, and fans are not defined for it",
        ),
        (
            Matrix(shape=(8, 4), fan_in=4, fan_out=8, activations=(*TANH, Activation("ReLU", torch.relu))),
            "`activation: auto` is ambiguous: Tanh and ReLU follow",
        ),
        (
            Matrix(shape=(8, 4), fan_in=4, fan_out=8),
            "`activation: auto` needs to know what follows, and the graph is not known here",
        ),
    ],
)
def test_what_cannot_be_served(block: Matrix, reason: str):
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": "critical"}).resolve(block)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"activation": "tahn"}, "must be `auto` or an activation's name, but is 'tahn'", "did you mean `Tanh`"),
        ({"activation": 3}, "must be `auto` or an activation's name, but is 3", "see `modelforge list activations`"),
        (
            {"activation": "torch.tanh"},
            "must be `auto` or an activation's name, but is 'torch.tanh'",
            "see `modelforge list activations`",
        ),
        (
            {"activation": "ELU(beta=2)"},
            "`ELU`: got an unexpected keyword argument 'beta'",
            "it is `ELU(alpha=1.0)`",
        ),
        ({"q": 0}, "Input should be greater than 0", ""),
        (
            {"truncate": 3.0},
            "must be left out, as `distribution` is `normal`",
            "only `distribution: truncated_normal` uses it",
        ),
    ],
)
def test_wrong_fields(fields: dict[str, object], message: str, hint: str):
    with pytest.raises(ValidationError) as caught:
        inits.create({"scheme": "critical", **fields})
    (detail,) = caught.value.errors()
    assert detail["msg"] == message
    assert detail.get("ctx", {}).get("hint", "").startswith(hint)


# --- networks ---------------------------------------------------------------------------------------------------------


def deep(depth: int, width: int, act: str, init: dict[str, object], seed: int) -> nn.Module:
    block = {
        "type": "Repeat",
        "times": depth,
        "layers": {"hidden": {"type": "Linear", "out_features": width}, "act": {"type": act}},
    }
    spec = mf.parse({"input": {"shape": [width]}, "layers": {"blocks": block}}, init=init)
    return mf.build(spec, seed=seed)


def test_weights_and_biases_of_a_model():
    layers = {
        "hidden": {"type": "Linear", "out_features": 400},
        "act": {"type": "Tanh"},
        "head": {"type": "Linear", "out_features": 3},
    }
    model = mf.build(mf.parse({"input": {"shape": [300]}, "layers": layers}, init=CRITICAL), seed=0)
    assert model.ledger.ok
    hidden, head = model.hidden, model.head
    sampling = 4.5 / math.sqrt(2 * 400)
    assert hidden.bias.std().item() == pytest.approx(0.38854, rel=sampling)
    assert hidden.weight.std().item() * math.sqrt(300) == pytest.approx(1.46741, rel=0.01)
    # Nothing follows the head, so it is linear: no bias.
    assert head.bias.eq(0).all()


def test_recurrent_biases_count_once():
    layers = {"rnn": {"type": "RNN", "hidden_size": 64}, "act": {"type": "Tanh"}}
    init = CRITICAL | {"activation": "tanh", "bias": {"scheme": "critical", "activation": "tanh"}}
    model = mf.build(mf.parse({"input": {"shape": [5, 8]}, "layers": layers}, init=init))
    assert model.ledger.ok
    assert model.rnn.bias_ih_l0.std() > 0.2
    assert model.rnn.bias_hh_l0.eq(0).all()


def test_a_deep_network_keeps_its_variance_and_its_gradients():
    """ln q has variance about depth·κ/width; for tanh at the critical point κ < 1."""
    depth, width = 30, 256
    model = deep(depth, width, "Tanh", CRITICAL, seed=1)
    first = nn.Linear(width, width)
    assert model.ledger.ok
    sizes: list[float] = []
    energies: list[float] = []
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(lambda _, __, out: sizes.append(out.square().mean().item()))
            layer.register_full_backward_hook(lambda _, __, out: energies.append(out[0].square().sum().item()))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, first.in_features, generator=generator).requires_grad_()
    model(x).backward(torch.randn(64, width, generator=generator))
    tolerance = 4 * math.sqrt(depth / width)
    assert abs(math.log(sizes[-1])) < 4 / math.sqrt(width)
    assert abs(math.log(energies[-1] / energies[0])) < tolerance


def test_where_the_variance_is_unstable_the_plan_says_so():
    layers = {"hidden": {"type": "Linear", "out_features": 8}, "act": {"type": "GELU"}}
    plan = mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers}, init=CRITICAL))
    slopes = [parameter.numbers["variance_slope"] for parameter in plan.parameters]
    assert slopes == pytest.approx([1.067, 1.067], abs=1e-3)
