"""Gains: quadrature against the known table, names with and without arguments, `auto`, and what has no gain."""

from __future__ import annotations

import math
import re

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

import modelforge as mf
from modelforge.core.errors import Refusal
from modelforge.inits import (
    Activation,
    Gain,
    Matrix,
    resolve_gain,
    statistics,
)
from modelforge.inits.gains.gain import gain_of, named_gain, names


def test_quadrature_agrees_with_closed_forms():
    assert named_gain("ReLU") == pytest.approx(math.sqrt(2), abs=1e-12)
    gelu = 0.25 + (math.asin(0.5) + 2 / (2 * math.sqrt(3))) / (2 * math.pi)
    assert named_gain("GELU") == pytest.approx(1 / math.sqrt(gelu), abs=1e-12)


def test_functions_that_compute_in_float32_have_a_gain():
    """Their rounding looks rough everywhere; it must not be halved for ever."""
    asked = 0

    def tanh(x: Tensor) -> Tensor:
        nonlocal asked
        asked += x.numel()
        return x.float().tanh().double()

    assert gain_of(Activation("float32 tanh", tanh)) == pytest.approx(1.592537, abs=1e-5)
    assert asked < 5_000_000


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


@pytest.mark.parametrize("name", [name for name in names() if name[0].isupper()])
def test_a_class_name_means_the_module_with_its_defaults(name: str):
    module = getattr(nn, name)().eval()
    assert named_gain(name) == pytest.approx(gain_of(Activation(f"module: {name}", module)), abs=1e-12)


@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_torch_constants_are_torch_s(name: str):
    assert named_gain(f"torch.{name}") == pytest.approx(nn.init.calculate_gain(name), rel=1e-12)  # pyright: ignore[reportArgumentType]  # torch wants literals


def test_torch_s_leaky_relu_takes_its_slope():
    for text in ("torch.leaky_relu(0.2)", "torch.leaky_relu(negative_slope=0.2)"):
        assert named_gain(text) == pytest.approx(nn.init.calculate_gain("leaky_relu", 0.2), rel=1e-12)


# --- names with arguments ---------------------------------------------------------------------------------------------


GAIN = TypeAdapter(Gain)
NAMED = "must be a positive number, `auto` or an activation's name, but is "


@pytest.mark.parametrize(
    ("gain", "message", "hint"),
    [
        ("LeakyReLU(slope=1)", "`LeakyReLU`: got an unexpected keyword argument 'slope'", "negative_slope=0.01)`"),
        ("ELU(1, 2)", "`ELU`: too many positional arguments", "it is `ELU(alpha=1.0)`"),
        ("ReLU(inplace=true)", "`ReLU`: got an unexpected keyword argument 'inplace'", "it is `ReLU()`"),
        ("Threshold", "`Threshold`: missing a required argument: 'threshold'", "it is `Threshold(threshold, value)`"),
        ("ELU(alpha=1, alpha=2)", "`ELU`: `alpha` is given twice", "leave one out"),
        ("Hardtanh(min_val=-2, 2)", "`Hardtanh`: `2` has no name, but follows a named argument", "name it too"),
        (
            "Hardtanh(2, -2)",
            "`Hardtanh(2, -2)`: max_val (-2) must be greater than min_val (2)",
            "it is `Hardtanh(min_val=",
        ),
        ("GELU(approximate=foo)", "`GELU(approximate=foo)`: approximate argument must be either", "it is `GELU("),
        ("LeakyReLU(steep)", "`LeakyReLU(steep)`: ", "it is `LeakyReLU(negative_slope=0.01)`"),
        ("torch.tanh(3)", "`torch.tanh`: too many positional arguments", "it is `torch.tanh()`"),
        ("PReLU(0.1)", "`PReLU(0.1)`: `num_parameters` must be a whole number, but is 0.1", "it is `PReLU(num_par"),
        ("PReLU(true)", "`PReLU(true)`: `num_parameters` must be a whole number, but is true", "it is `PReLU("),
        (
            "PReLU(0)",
            "`PReLU(0)`: `num_parameters` must be at least 1, but is 0",
            "it is `PReLU(num_parameters=1, init",
        ),
        ("LeakyReLU(true)", "`LeakyReLU(true)`: `negative_slope` must be a number, but is true", "it is `LeakyReLU("),
        ("ELU(alpha=False)", "`ELU(alpha=False)`: `alpha` must be a number, but is false", "it is `ELU(alpha=1.0)`"),
        ("GELU(1)", "`GELU(1)`: `approximate` must be a word, but is 1", "it is `GELU("),
        ("critical(0)", "`critical(0)`: `q` must be greater than 0, but is 0", "it is a variance, 1 if left out"),
        ("critical(true)", "`critical(true)`: `q` must be a number, but is true", "as in `critical(0.5)`"),
        ("critical(1, 2)", "`critical`: too many positional arguments", "it is `critical(q=1.0)`"),
        ("auto(2)", "`auto(2)`: `auto` takes no arguments", "it is `auto`"),
        (
            "torch.leaky_relu(steep)",
            "`torch.leaky_relu(steep)`: `negative_slope` must be a number, but is steep",
            "as in `torch.leaky_relu(0.2)`",
        ),
        (
            "torch.leaky_relu(true)",
            "`torch.leaky_relu(true)`: `negative_slope` must be a number, but is true",
            "as in `torch.leaky_relu(0.2)`",
        ),
        ("LeakyReLU(0.2", "`LeakyReLU(0.2` cannot be read as an activation", "write it as `LeakyReLU(0.2)`"),
        ("ELU(" + "1" * 300 + ")", "`ELU(" + "1" * 56 + "` cannot be read as an activation", "write it as"),
        ("ELU(nan)", "`ELU(nan)`: ", "it is `ELU(alpha=1.0)`"),
        ("ELU(1e999)", "`ELU`: the argument `1e999` is neither a number nor a word", "as in `LeakyReLU(0.2)`"),
        ("ELU(__import__('os'))", "`ELU(__import__('os'))` cannot be read as an activation", "write it as"),
        ("ELU([1])", "`ELU`: the argument `[1]` is neither a number nor a word", "as in"),
        ("ELU(x.y)", "`ELU`: the argument `x.y` is neither a number nor a word", "as in"),
        ("ELU(,)", "`ELU`: the argument `` is neither a number nor a word", "as in"),
        ("relo", NAMED + "'relo'", "did you mean"),
        ("LeakyRelo(0.1)", NAMED + "'LeakyRelo(0.1)'", "did you mean `LeakyReLU`"),
        ("auto_backwards", NAMED + "'auto_backwards'", "did you mean `auto_backward`"),
        ("", NAMED + "''", "see `modelforge list activations`"),
        ("?", NAMED + "'?'", "see `modelforge list activations`"),
        (0, NAMED + "0", "zero weights have a scheme of their own: `zeros`"),
        (math.nan, NAMED + "nan", ""),
        (math.inf, NAMED + "inf", ""),
        (True, NAMED + "True", ""),
        ([1], NAMED + "[1]", ""),
    ],
)
def test_wrong_gains(gain: object, message: str, hint: str):
    with pytest.raises(ValidationError) as caught:
        GAIN.validate_python(gain)
    (detail,) = caught.value.errors()
    assert detail["msg"].startswith(message)
    assert hint in detail.get("ctx", {})["hint"]


@pytest.mark.parametrize("gain", [2, 0.5, "auto", "auto_backward", "critical", "GELU(tanh)", "torch.leaky_relu(0.2)"])
def test_right_gains_stay_as_they_are(gain: float | str):
    assert GAIN.validate_python(gain) == gain


def test_the_schema_completes_names_and_allows_arguments():
    number, named, with_arguments = GAIN.json_schema()["anyOf"]
    assert number == {"type": "number", "exclusiveMinimum": 0}
    assert {"auto", "auto_backward", "critical", "ReLU", "torch.tanh"} < set(named["enum"])
    assert re.search(with_arguments["pattern"], "LeakyReLU(0.2)")
    assert not re.search(with_arguments["pattern"], "LeakyReLU")


# --- what follows in the graph ----------------------------------------------------------------------------------------


def block(*activations: Activation) -> Matrix:
    return Matrix(shape=(2, 2), fan_in=2, fan_out=2, activations=activations)


RELU, TANH, GELU = (Activation(name, getattr(nn, name)()) for name in ("ReLU", "Tanh", "GELU"))


def test_a_number_stays_a_number():
    assert resolve_gain(2.5, block(RELU, TANH)).numbers() == {"gain": 2.5}


def test_a_name_shows_where_the_number_is_from():
    assert resolve_gain("torch.tanh", block()).numbers() == {"gain": 5 / 3, "activation": "torch.tanh"}


def test_arguments_are_part_of_what_is_shown():
    assert resolve_gain("leaky_relu(0.2)", block()).numbers() == {
        "gain": pytest.approx(1.386750, abs=1e-6),
        "activation": "leaky_relu(0.2)",
    }


def test_the_backward_gain_is_the_critical_one():
    """At q* = 1."""
    for gain in ("auto_backward", "critical"):
        numbers = resolve_gain(gain, block(TANH)).numbers()
        assert numbers == {"gain": pytest.approx(1.467414, abs=1e-6), "activation": "Tanh"}
        assert resolve_gain(gain, block()).numbers() == {"gain": 1.0, "activation": "none"}


def test_auto_asks_what_follows():
    assert resolve_gain("auto", block()).numbers() == {"gain": 1.0, "activation": "none"}
    assert resolve_gain("auto", block(TANH)).numbers() == {"gain": named_gain("Tanh"), "activation": "Tanh"}
    assert resolve_gain("auto", block(TANH, TANH)).value == named_gain("Tanh")


@pytest.mark.parametrize("gain", ["auto", "auto_backward", "critical"])
@pytest.mark.parametrize(
    ("asked", "reason", "hint"),
    [
        (block(TANH, RELU), "`gain: {}` is ambiguous: Tanh and ReLU follow", "name one of them"),
        (block(TANH, RELU, GELU), "`gain: {}` is ambiguous: Tanh, ReLU and GELU follow", "name one of them"),
        (
            Matrix(shape=(2, 2), fan_in=2, fan_out=2, activations=None),
            "`gain: {}` needs to know what follows, and the graph is not known here",
            "give `gain` a number or an activation's name",
        ),
    ],
)
def test_auto_does_not_guess(gain: str, asked: Matrix, reason: str, hint: str):
    with pytest.raises(Refusal) as caught:
        resolve_gain(gain, asked)
    assert (caught.value.reason, caught.value.hint) == (reason.format(gain), hint)


def _broken(x: torch.Tensor) -> torch.Tensor:
    raise ValueError("no such thing\nat all")


@pytest.mark.parametrize(
    ("name", "function", "reason"),
    [
        ("Softmax", nn.Softmax(0), "Softmax is not a fixed elementwise function, so it has no gain"),
        ("Dropout", nn.Dropout(0.5), "Dropout is not a fixed elementwise function, so it has no gain"),
        ("Sum", torch.sum, "Sum is not a fixed elementwise function, so it has no gain"),
        ("Zero", torch.zeros_like, "the second moment of Zero's output is 0, so no gain preserves it"),
        ("Nothing", _broken, "the gain of Nothing cannot be computed: no such thing"),
    ],
)
def test_what_has_no_gain(name: str, function, reason: str):
    with torch.random.fork_rng(), pytest.raises(Refusal) as caught:
        gain_of(Activation(name, function))
    assert caught.value.reason == reason


def _cube_by_numpy(x: Tensor) -> Tensor:
    return torch.from_numpy(x.numpy() ** 3)


@pytest.mark.parametrize(
    ("function", "derivative"),
    [(torch.sign, "0"), (lambda x: (x > 0).double(), "nan"), (_cube_by_numpy, "nan")],
    ids=["flat", "not differentiable", "by NumPy"],
)
def test_what_has_no_backward_gain(function, derivative: str):
    activation = Activation("Flat", function)
    assert gain_of(activation) > 0
    with pytest.raises(Refusal) as caught:
        resolve_gain("auto_backward", block(activation))
    reason = f"the mean square of the derivative of Flat is {derivative}, so no gain keeps gradients"
    assert (caught.value.reason, caught.value.hint) == (reason, "name another activation, or choose another scheme")


def test_what_grows_too_fast_has_no_gain():
    with pytest.raises(Refusal, match="the second moment of Steep's output is inf, so no gain preserves it"):
        gain_of(Activation("Steep", lambda x: torch.exp(x**2 / 2)))


def test_modules_are_left_as_they_are():
    module = nn.PReLU()
    gain_of(Activation("left as it is", module))
    assert module.weight.dtype == torch.float32


# --- numbers for each channel -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", ["auto", "auto_backward", "critical", "PReLU(6)", "prelu", "critical(2)"])
def test_the_gain_before_a_prelu_does_not_depend_on_the_number_of_slopes(gain: str):
    layers = {
        "conv": {"type": "Conv1d", "out_channels": 6, "kernel_size": 3},
        "act": {"type": "PReLU", "num_parameters": 6},
        "mean": {"type": "Mean", "dim": 2},
        "head": {"type": "Linear", "out_features": 10, "init": "lecun"},
    }
    init = {"scheme": "kaiming", "distribution": "normal", "gain": gain}
    plan = mf.plan(mf.parse({"input": {"shape": [4, 9]}, "layers": layers}, init=init))
    assert plan.parameter("conv.weight").numbers["gain"] == pytest.approx(1.3720, abs=1e-4)


def test_critical_takes_the_variance():
    block = Matrix((8, 4), fan_in=4, fan_out=8, activations=(Activation("Tanh", nn.Tanh()),))
    assert resolve_gain("critical(0.5)", block).value == resolve_gain("critical(q=0.5)", block).value
    assert resolve_gain("critical(0.5)", block).value == statistics("tanh", 0.5).backward_gain
    assert resolve_gain("critical(1)", block) == resolve_gain("critical", block)
