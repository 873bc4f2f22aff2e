"""Moments of activations: quadrature against closed forms and tables, at any variance, and channel by channel."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from modelforge.core.errors import Refusal
from modelforge.inits import (
    Activation,
    statistics,
)

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


def test_gains_do_not_depend_on_what_torch_is_set_to():
    """Inference mode, no gradients, another default device and type."""
    expected = statistics("tanh").backward_gain
    with torch.inference_mode():
        assert statistics(Activation("inference", nn.PReLU(init=0.5))).backward_gain == pytest.approx((2 / 1.25) ** 0.5)
    with torch.no_grad(), torch.device("meta"):
        assert statistics(Activation("meta", lambda x: x.tanh())).backward_gain == expected


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
