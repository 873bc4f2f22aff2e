"""Gains: quadrature against the known table, names, `auto`, and what has no gain."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from modelforge.inits import Activation, Block, CannotServe, resolve_gain
from modelforge.inits.gains import gain_of, named_gain, names

# 1/√E φ(z)², z ~ N(0, 1).
TABLE = {
    "linear": 1.0,
    "relu": 1.414214,
    "leaky_relu": 1.414143,
    "elu": 1.245198,
    "selu": 1.0,
    "gelu": 1.533530,
    "silu": 1.676532,
    "mish": 1.486848,
    "hardswish": 1.736657,
    "tanh": 1.592537,
    "hardtanh": 1.392036,
    "sigmoid": 1.846229,
    "hardsigmoid": 1.897840,
    "softsign": 2.337533,
    "softplus": 1.041867,
}
FUNCTIONS = {
    "LeakyReLU(0.2)": (nn.LeakyReLU(0.2), 1.386750),
    "GELU(tanh)": (nn.GELU("tanh"), 1.533581),
    "abs": (torch.abs, 1.0),
    "erf": (torch.erf, 1.467167),
    "sin": (torch.sin, 1.520867),
    "relu squared": (lambda x: x.relu().square(), 0.816497),
    "quick_gelu": (lambda x: x * torch.sigmoid(1.702 * x), 1.539459),
    "PReLU(0.25)": (nn.PReLU(), math.sqrt(2 / (1 + 0.25**2))),
    "ReLU(in place)": (nn.ReLU(inplace=True), math.sqrt(2)),
}


@pytest.mark.parametrize(("name", "gain"), TABLE.items())
def test_gains_of_names(name: str, gain: float):
    assert named_gain(name) == pytest.approx(gain, abs=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gains_of_functions(name: str):
    function, gain = FUNCTIONS[name]
    assert gain_of(Activation(f"table: {name}", function)) == pytest.approx(gain, abs=1e-6)


def test_quadrature_agrees_with_closed_forms():
    assert named_gain("ReLU") == pytest.approx(math.sqrt(2), abs=1e-12)
    gelu = 0.25 + (math.asin(0.5) + 2 / (2 * math.sqrt(3))) / (2 * math.pi)
    assert named_gain("GELU") == pytest.approx(1 / math.sqrt(gelu), abs=1e-12)


def phi(x: float) -> float:
    return math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def above(x: float) -> float:
    return math.erfc(x / math.sqrt(2)) / 2


@pytest.mark.parametrize("end", [3.2, 0.3, 0.123, 1e-3, 0.5, 8.3])
def test_steps_anywhere(end: float):
    """E φ(z)² over z > a is aφ(a) + 1 - Φ(a); twice that for Hardshrink, once and v²Φ(a) for Threshold."""
    tail = end * phi(end) + above(end)
    shrunk = gain_of(Activation("Hardshrink", nn.Hardshrink(end)))
    assert shrunk == pytest.approx((2 * tail) ** -0.5, rel=1e-6)
    cut = gain_of(Activation("Threshold", nn.Threshold(end, 20.0)))
    assert cut == pytest.approx((tail + 400 * (1 - above(end))) ** -0.5, rel=1e-6)


def test_equal_names_of_different_functions():
    """A layer that was registered anew has a new gain."""
    assert gain_of(Activation("Mine", nn.ReLU())) == pytest.approx(math.sqrt(2))
    assert gain_of(Activation("Mine", nn.Tanh())) == pytest.approx(1.592537, abs=1e-6)


def test_every_elementwise_activation_of_torch_has_a_name():
    not_elementwise = {"GLU", "Softmax", "Softmax2d", "Softmin", "LogSoftmax", "MultiheadAttention"}
    needs_arguments = {"Threshold"}
    classes = {name for name in nn.modules.activation.__all__ if name not in not_elementwise | needs_arguments}
    assert classes <= set(names())


@pytest.mark.parametrize("name", [name for name in names() if name[0].isupper()])
def test_a_class_name_means_the_module_with_its_defaults(name: str):
    module = getattr(nn, name)().eval()
    assert named_gain(name) == pytest.approx(gain_of(Activation(f"module: {name}", module)), abs=1e-12)


@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_torch_constants_are_torch_s(name: str):
    assert named_gain(f"torch.{name}") == pytest.approx(nn.init.calculate_gain(name), rel=1e-12)  # pyright: ignore[reportArgumentType]  # torch wants literals


def block(*activations: Activation) -> Block:
    return Block(shape=(2, 2), fan_in=2, fan_out=2, activations=activations)


RELU, TANH, GELU = (Activation(name, getattr(nn, name)()) for name in ("ReLU", "Tanh", "GELU"))


def test_a_number_stays_a_number():
    assert resolve_gain(2.5, block(RELU, TANH)).numbers() == {"gain": 2.5}


def test_a_name_shows_where_the_number_is_from():
    assert resolve_gain("torch.tanh", block()).numbers() == {"gain": 5 / 3, "activation": "torch.tanh"}


def test_auto_asks_what_follows():
    assert resolve_gain("auto", block()).numbers() == {"gain": 1.0, "activation": "none"}
    assert resolve_gain("auto", block(TANH)).numbers() == {"gain": named_gain("Tanh"), "activation": "Tanh"}
    assert resolve_gain("auto", block(TANH, TANH)).value == named_gain("Tanh")


@pytest.mark.parametrize(
    ("asked", "reason", "hint"),
    [
        (block(TANH, RELU), "`gain: auto` is ambiguous: Tanh and ReLU follow", "name one of them"),
        (block(TANH, RELU, GELU), "`gain: auto` is ambiguous: Tanh, ReLU and GELU follow", "name one of them"),
        (
            Block(shape=(2, 2), fan_in=2, fan_out=2, activations=None),
            "`gain: auto` needs to know what follows, and the graph is not known here",
            "give `gain` a number or an activation's name",
        ),
    ],
)
def test_auto_does_not_guess(asked: Block, reason: str, hint: str):
    with pytest.raises(CannotServe) as caught:
        resolve_gain("auto", asked)
    assert (caught.value.reason, caught.value.hint) == (reason, hint)


def _broken(x: torch.Tensor) -> torch.Tensor:
    raise ValueError("no such thing\nat all")


@pytest.mark.parametrize(
    ("name", "function", "reason"),
    [
        ("Softmax", nn.Softmax(0), "Softmax is not a fixed elementwise function, so it has no gain"),
        ("Dropout", nn.Dropout(0.5), "Dropout is not a fixed elementwise function, so it has no gain"),
        ("Sum", torch.sum, "Sum is not a fixed elementwise function, so it has no gain"),
        ("Zero", torch.zeros_like, "the second moment of Zero is 0, so it has no gain"),
        ("Nothing", _broken, "the gain of Nothing cannot be computed: no such thing"),
    ],
)
def test_what_has_no_gain(name: str, function, reason: str):
    with torch.random.fork_rng(), pytest.raises(CannotServe) as caught:
        gain_of(Activation(name, function))
    assert caught.value.reason == reason


def test_modules_are_left_as_they_are():
    module = nn.PReLU()
    gain_of(Activation("left as it is", module))
    assert module.weight.dtype == torch.float32
