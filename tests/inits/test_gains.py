"""Gains: quadrature against the known table, names with and without arguments, `auto`, and what has no gain."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.inits import (
    Activation,
    Gain,
    Matrix,
    find_activation,
    register_activation,
    resolve_gain,
    statistics,
    unregister_activation,
)
from modelforge.inits.gains.activations import UnknownActivation, read_call
from modelforge.inits.gains.gain import gain_of, named_gain, names

# E φ, E φ², E φ'², forward gain, backward gain, 1/std φ, χ1 and V' at the forward gain; z ~ N(0, 1).
TABLE = {
    "linear": (0, 1, 1, 1, 1, 1, 1, 1),
    "relu": (0.398942, 0.5, 0.5, 1.414214, 1.414214, 1.712859, 1, 1),
    "leaky_relu(0.01)": (0.394953, 0.50005, 0.50005, 1.414143, 1.414143, 1.704832, 1, 1),
    "leaky_relu(0.2)": (0.319154, 0.52, 0.52, 1.386750, 1.386750, 1.546460, 1, 1),
    "abs": (0.797885, 1, 1, 1, 1, 1.658897, 1, 1),
    "elu(1)": (0.160521, 0.644945, 0.668102, 1.245198, 1.223429, 1.270843, 1.0359, 0.891),
    "selu": (0, 1, 1.071575, 1, 0.966026, 1, 1.0716, 0.783),
    "gelu": (0.282095, 0.425221, 0.455851, 1.533530, 1.481114, 1.700926, 1.0720, 1.144),
    "gelu(tanh)": (0.282039, 0.425194, 0.455818, 1.533581, 1.481168, 1.700917, 1.0720, 1.144),
    "quick_gelu": (0.282331, 0.421953, 0.449549, 1.539459, 1.491459, 1.709359, 1.0654, 1.1365),
    "silu": (0.206621, 0.355776, 0.379482, 1.676532, 1.623320, 1.787187, 1.0666, 1.173),
    "mish": (0.240404, 0.452342, 0.479084, 1.486848, 1.444755, 1.592025, 1.0591, 1.076),
    "hardswish": (0.166217, 0.331567, 0.358532, 1.736657, 1.670076, 1.813871, 1.0813, 1.224),
    "tanh": (0, 0.394294, 0.464403, 1.592537, 1.467414, 1.592537, 1.1778, 0.461),
    "hardtanh": (0, 0.516059, 0.682689, 1.392036, 1.210287, 1.392036, 1.3229, 0.385),
    "erf": (0, 0.464559, 0.569410, 1.467167, 1.325218, 1.467167, 1.2257, 0.409),
    "sigmoid": (0.5, 0.293379, 0.044836, 1.846229, 4.722646, 4.801313, 0.1528, 0.106),
    "hardsigmoid": (0.5, 0.277639, 0.027703, 1.897840, 6.008116, 6.015034, 0.0998, 0.097),
    "softsign": (0, 0.183014, 0.227671, 2.337533, 2.095781, 2.337533, 1.2440, 0.477),
    "softplus": (0.806059, 0.921246, 0.293379, 1.041867, 1.846229, 1.919126, 0.3185, 0.492),
    "sin": (0, 0.432332, 0.567668, 1.520867, 1.327251, 1.520867, 1.3130, 0.313),
    "squared_relu": (0.5, 1.5, 2, 0.816497, 0.707107, 0.894427, 1.3333, 2),
}
FUNCTIONS = {
    "abs": torch.abs,
    "erf": torch.erf,
    "sin": torch.sin,
    "squared_relu": lambda x: x.relu().square(),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "leaky_relu(0.2)": nn.LeakyReLU(0.2),
    "gelu(tanh)": nn.GELU("tanh"),
    "relu": nn.ReLU(inplace=True),
}


@pytest.mark.parametrize(("name", "row"), TABLE.items())
def test_the_table(name: str, row: tuple[float, ...]):
    found = statistics(name)
    columns = (found.mean, found.second_moment, found.derivative, found.forward_gain, found.backward_gain)
    assert columns == pytest.approx(row[:5], abs=1e-6)
    assert found.centred_gain == pytest.approx(row[5], abs=1e-6)
    assert found.chi == pytest.approx(row[6], abs=5e-5)
    assert found.variance_slope == pytest.approx(row[7], abs=5.1e-4)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_callable_has_what_its_name_has(name: str):
    found, known = statistics(Activation(f"callable: {name}", FUNCTIONS[name])), statistics(name)
    assert found.forward_gain == pytest.approx(known.forward_gain, rel=1e-10)
    assert found.backward_gain == pytest.approx(known.backward_gain, rel=1e-10)
    assert found.variance_slope == pytest.approx(known.variance_slope, rel=1e-9)


def test_quadrature_agrees_with_closed_forms():
    assert named_gain("ReLU") == pytest.approx(math.sqrt(2), abs=1e-12)
    gelu = 0.25 + (math.asin(0.5) + 2 / (2 * math.sqrt(3))) / (2 * math.pi)
    assert named_gain("GELU") == pytest.approx(1 / math.sqrt(gelu), abs=1e-12)


@pytest.mark.parametrize("q", [0.1, 1.0, 4.0])
def test_statistics_at_other_variances(q: float):
    """GELU: E φ² = q/4 + (q/2π)(asin(q/(1+q)) + 2q/((1+q)√(1+2q))); sin: E φ² = (1-e^-2q)/2, its slope e^-2q."""
    gelu, sin = statistics("gelu", q), statistics("sin", q)
    inner = math.asin(q / (1 + q)) + 2 * q / ((1 + q) * math.sqrt(1 + 2 * q))
    assert gelu.second_moment == pytest.approx(q / 4 + q / (2 * math.pi) * inner, rel=1e-11)
    assert gelu.mean == pytest.approx(q / math.sqrt(2 * math.pi * (1 + q)), rel=1e-11)
    assert sin.second_moment == pytest.approx((1 - math.exp(-2 * q)) / 2, rel=1e-11)
    assert sin.derivative == pytest.approx((1 + math.exp(-2 * q)) / 2, rel=1e-11)
    assert sin.slope == pytest.approx(math.exp(-2 * q), rel=1e-9)
    assert statistics("relu", q).forward_gain == pytest.approx(math.sqrt(2), rel=1e-12)


@pytest.mark.parametrize("q", [0.0, -1.0, math.nan, math.inf])
def test_variances_are_positive(q: float):
    with pytest.raises(ValueError, match="the variance q must be positive, but is "):
        statistics("relu", q)


def test_tiny_variances_are_linear():
    """tanh(x)² = x² - 2x⁴/3 + ..."""
    found = statistics("tanh", 1e-30)
    assert found.forward_gain == pytest.approx(1.0, rel=1e-11)
    assert found.slope == pytest.approx(1.0, rel=1e-10)


def test_the_slope_counts_kinks_and_steps():
    """It takes no derivative of φ, so what φ'' or φ' do not show is in it: against difference quotients."""
    step = 1e-4
    for name in ("hardtanh", "Hardshrink(0.7)", "Threshold(0.5, 2)"):
        above, below = statistics(name, 1 + step), statistics(name, 1 - step)
        quotient = (above.second_moment - below.second_moment) / (2 * step)
        assert statistics(name).slope == pytest.approx(quotient, rel=1e-6), name


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


def test_every_elementwise_activation_of_torch_has_a_name():
    not_elementwise = {"GLU", "Softmax", "Softmax2d", "Softmin", "LogSoftmax", "MultiheadAttention"}
    needs_arguments = {"Threshold"}
    classes = {name for name in nn.modules.activation.__all__ if name not in not_elementwise | needs_arguments}
    assert classes <= set(names())
    assert find_activation("Threshold(0.1, 20)").name == "Threshold(threshold=0.1, value=20)"


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


@pytest.mark.parametrize(
    ("text", "name", "module"),
    [
        ("LeakyReLU(negative_slope=0.2)", "LeakyReLU(negative_slope=0.2)", nn.LeakyReLU(0.2)),
        (" leaky_relu ( 0.2 ) ", "leaky_relu(negative_slope=0.2)", nn.LeakyReLU(0.2)),
        ("ELU(alpha=2)", "ELU(alpha=2)", nn.ELU(2)),
        ("GELU(approximate=tanh)", "GELU(approximate=tanh)", nn.GELU("tanh")),
        ("GELU('tanh')", "GELU(approximate=tanh)", nn.GELU("tanh")),
        ("Hardtanh(-2, 2)", "Hardtanh(min_val=-2, max_val=2)", nn.Hardtanh(-2, 2)),
        ("Hardtanh(-.5, max_val=+2.5e0)", "Hardtanh(min_val=-0.5, max_val=2.5)", nn.Hardtanh(-0.5, 2.5)),
        ("PReLU(init=0.1)", "PReLU(init=0.1)", nn.PReLU(init=0.1)),
        ("PReLU(6, 0.1)", "PReLU(init=0.1)", nn.PReLU(init=0.1)),
        ("PReLU(6)", "PReLU", nn.PReLU()),
        ("Softplus(beta=2, threshold=10)", "Softplus(beta=2, threshold=10)", nn.Softplus(2, 10)),
        ("ReLU()", "ReLU", nn.ReLU()),
    ],
)
def test_names_with_arguments(text: str, name: str, module: nn.Module):
    found = find_activation(text)
    assert found.name == name
    x = torch.linspace(-3, 3, 31)
    assert torch.equal(found.function(x), module(x))


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
        ("ELU(1e999)", "`ELU`: the argument `1e999` is no number and no word", "as in `LeakyReLU(0.2)`"),
        ("ELU(__import__('os'))", "`ELU(__import__('os'))` cannot be read as an activation", "write it as"),
        ("ELU([1])", "`ELU`: the argument `[1]` is no number and no word", "as in"),
        ("ELU(x.y)", "`ELU`: the argument `x.y` is no number and no word", "as in"),
        ("ELU(,)", "`ELU`: the argument `` is no number and no word", "as in"),
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


# --- your own ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def snake() -> Iterator[None]:
    @register_activation("snake", aliases=("wiggle",))
    def snake(x: Tensor, frequency: float = 1.0) -> Tensor:
        return x + torch.sin(frequency * x) ** 2 / frequency

    assert snake(torch.zeros(1)) == 0
    yield
    unregister_activation("snake")


def test_your_own_function(snake: None):
    """E φ² = 1 + E sin⁴(az)/a² + 0, with sin⁴ = (3 - 4cos 2az + cos 4az)/8 and E cos bz = e^(-b²/2)."""

    def gain(a: float) -> float:
        return (1 + (3 - 4 * math.exp(-2 * a**2) + math.exp(-8 * a**2)) / 8 / a**2) ** -0.5

    assert named_gain("snake") == pytest.approx(gain(1), rel=1e-10)
    assert named_gain("wiggle(2)") == pytest.approx(gain(2), rel=1e-10)
    assert {"snake", "wiggle"} < set(names())
    assert inits.create({"scheme": "xavier", "gain": "snake(frequency=0.5)"})


def test_what_is_forgotten_is_unknown(snake: None):
    unregister_activation("snake")
    for name in ("snake", "wiggle", "snake(2)"):
        with pytest.raises(UnknownActivation, match="there is no activation `"):
            named_gain(name)
    register_activation("snake", torch.cos)
    assert named_gain("snake") == pytest.approx(math.sqrt(2 / (1 + math.exp(-2))), rel=1e-10)


def test_a_function_defined_again_replaces_the_old_one():
    def define(power: int) -> None:
        @register_activation("redefined")
        def redefined(x: Tensor) -> Tensor:
            return x.abs() ** power

    try:
        define(1)
        assert named_gain("redefined") == pytest.approx(1)
        define(2)
        assert named_gain("redefined") == pytest.approx(3**-0.5)
    finally:
        unregister_activation("redefined")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("relu", "an activation `relu` exists already"),
        ("auto", "`auto` cannot be the name of an activation"),
        ("my.own", "`my.own` cannot be the name of an activation"),
    ],
)
def test_names_that_cannot_be_registered(name: str, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        register_activation(name, torch.cos)


def test_only_functions_are_registered():
    with pytest.raises(TypeError, match="3 is no function of a tensor"):
        register_activation("three", 3)  # pyright: ignore[reportCallIssue, reportArgumentType]  # that is the point


def test_calls_are_read_and_not_evaluated():
    call = read_call("name(1, -2.5, word, flag=True, other='text')")
    assert call.positional == (1, -2.5, "word")
    assert call.named == (("flag", True), ("other", "text"))


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


def test_gains_do_not_depend_on_what_torch_is_set_to():
    """Inference mode, no gradients, another default device and type."""
    expected = statistics("tanh").backward_gain
    with torch.inference_mode():
        assert statistics(Activation("inference", nn.PReLU(init=0.5))).backward_gain == pytest.approx((2 / 1.25) ** 0.5)
    with torch.no_grad(), torch.device("meta"):
        assert statistics(Activation("meta", lambda x: x.tanh())).backward_gain == expected


def test_modules_are_left_as_they_are():
    module = nn.PReLU()
    gain_of(Activation("left as it is", module))
    assert module.weight.dtype == torch.float32


# --- numbers for each channel -----------------------------------------------------------------------------------------


class Slopes(nn.Module):
    """A leaky ReLU with a slope of its own in each channel."""

    def __init__(self, slopes: list[float], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor(slopes).view(shape))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.slopes * x)


class Mixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + x.mean(dim=1, keepdim=True)


@pytest.mark.parametrize("count", [1, 2, 6, 700])
def test_a_prelu_with_a_slope_for_each_channel_has_the_gain_of_one(count: int):
    found = statistics(Activation("PReLU", nn.PReLU(count)))
    one = statistics(Activation("PReLU", nn.PReLU()))
    assert found.forward_gain == pytest.approx(math.sqrt(2 / (1 + 0.25**2)), rel=1e-12)
    assert found.backward_gain == pytest.approx(one.backward_gain, rel=1e-12)
    assert found.variance_slope == pytest.approx(one.variance_slope, rel=1e-9)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (1, 3, 1), (3, 1, 1)])
def test_where_channels_differ_the_mean_second_moment_counts(shape: tuple[int, ...]):
    slopes = [0.0, 0.5, 1.0]
    found = statistics(Activation("slopes", Slopes(slopes, shape)))
    mean = sum(slope**2 for slope in slopes) / 3
    assert found.second_moment == pytest.approx((1 + mean) / 2, rel=1e-12)
    assert found.derivative == pytest.approx((1 + mean) / 2, rel=1e-12)
    assert found.mean == pytest.approx(sum(1 - slope for slope in slopes) / 3 / math.sqrt(2 * math.pi), rel=1e-9)


@pytest.mark.parametrize("module", [Mixing(), nn.LayerNorm(4), nn.GLU(), nn.Linear(4, 4), nn.Softmax(dim=1)], ids=str)
def test_what_mixes_channels_has_no_gain(module: nn.Module):
    with pytest.raises(Refusal, match=r"elementwise|cannot be computed"):
        statistics(Activation("mixing", module))


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
