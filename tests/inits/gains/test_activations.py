"""Activations by name: with arguments and without, a user's own, and calls that are read and not evaluated."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from modelforge import inits
from modelforge.inits import (
    find_activation,
    register_activation,
    unregister_activation,
)
from modelforge.inits.gains.activations import UnknownActivation, read_call
from modelforge.inits.gains.gain import named_gain, names


def test_every_elementwise_activation_of_torch_has_a_name():
    not_elementwise = {"GLU", "Softmax", "Softmax2d", "Softmin", "LogSoftmax", "MultiheadAttention"}
    needs_arguments = {"Threshold"}
    classes = {name for name in nn.modules.activation.__all__ if name not in not_elementwise | needs_arguments}
    assert classes <= set(names())
    assert find_activation("Threshold(0.1, 20)").name == "Threshold(threshold=0.1, value=20)"


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
    with pytest.raises(TypeError, match="3 is not a function of a tensor"):
        register_activation("three", 3)  # pyright: ignore[reportCallIssue, reportArgumentType]  # that is the point


def test_calls_are_read_and_not_evaluated():
    call = read_call("name(1, -2.5, word, flag=True, other='text')")
    assert call.positional == (1, -2.5, "word")
    assert call.named == (("flag", True), ("other", "text"))
