"""What an activation does to a normal signal: moments, gains and slopes, from which all gains are taken."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
import torch
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Activation
from modelforge.core.torch_state import one_thread
from modelforge.inits.gains.activations import find_activation
from modelforge.inits.gains.quadrature import expectations

_HINT = "give `gain` a number, or an activation's name"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Moments of φ(x), x ~ N(0, q), and what follows from them for weights of variance σ_w²/fan_in.

    φ' is what autograd gives: a step has the slope of its sides. Where φ has no derivative, `derivative` is nan. Of a
    module with numbers for each channel (a PReLU with `num_parameters`), they are means over its channels.
    """

    q: float
    """Variance of what goes in."""
    mean: float
    """E φ."""
    second_moment: float
    """E φ²."""
    derivative: float
    """E φ'²."""
    slope: float
    """d E φ² / dq."""

    @property
    def forward_gain(self) -> float:
        """σ_w that keeps the second moment q of what flows forward: √(q / E φ²)."""
        return math.sqrt(self.q / self.second_moment)

    @property
    def backward_gain(self) -> float:
        """σ_w that keeps the second moment of gradients, so that χ1 = 1: 1/√E φ'² (inf for a flat φ)."""
        return math.inf if self.derivative == 0 else 1 / math.sqrt(self.derivative)

    @property
    def centred_gain(self) -> float:
        """σ_w that keeps the variance where the weights of a unit sum to zero (arXiv:2101.08692): √q / std φ."""
        variance = self.second_moment - self.mean**2
        return math.inf if variance <= 0 else math.sqrt(self.q / variance)

    @property
    def chi(self) -> float:
        """χ1 at `forward_gain`: by how much a layer multiplies the second moment of gradients; 1 keeps it."""
        return self.forward_gain**2 * self.derivative

    @property
    def variance_slope(self) -> float:
        """V'(q) at `forward_gain`: by how much a layer multiplies a small error of the second moment; above 1, q is no
        stable fixed point."""
        return self.forward_gain**2 * self.slope


def statistics(activation: Activation | str, q: float = 1.0) -> Statistics:
    """The statistics of an activation for inputs of variance `q`.

    They are remembered for the function itself, not for the name: a layer that is registered again may have others.

    >>> tanh = statistics("tanh")
    >>> round(tanh.forward_gain, 6), round(tanh.backward_gain, 6), round(tanh.variance_slope, 3)
    (1.592537, 1.467414, 0.461)

    Raises:
        UnknownActivation: the text names no activation.
        ValueError: `q` is not positive.
        Refusal: the function is not elementwise, not deterministic, or has no finite positive second moment.
    """
    if not 0 < q < math.inf:
        raise ValueError(f"the variance q must be positive, but is {q!r}")
    activation = find_activation(activation) if isinstance(activation, str) else activation
    return _statistics(activation.function, activation.name, float(q))


@lru_cache(maxsize=256)
def _statistics(phi: Callable[[Tensor], Tensor], name: str, q: float) -> Statistics:
    try:
        with one_thread(), torch.inference_mode(False):
            function = copy.deepcopy(phi).double() if isinstance(phi, torch.nn.Module) else phi
            channels = _channels(function)
            _check_elementwise(function, channels, name)
            found = expectations(lambda x: _integrand(function, channels, x, q), q)
            mean, second_moment, weighted, derivative = found.tolist()
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        raise Refusal(f"the gain of {name} cannot be computed: {first_line}", _HINT) from error
    if not 0 < second_moment < math.inf:
        reason = f"the second moment of {name}'s output is {second_moment:g}, so no gain preserves it"
        raise Refusal(reason, "give `gain` a number")
    # dE f(x)/dq for x ~ N(0, q) is E f(x)(x²/q - 1) / 2q, whether or not f has a derivative.
    return Statistics(q, mean, second_moment, derivative, slope=(weighted - second_moment) / (2 * q))


_PIECE = 1 << 20
"""Values at a time: points times channels."""


def _channels(function: Callable[[Tensor], Tensor]) -> tuple[int, ...]:
    """What must follow the batch in the shape of an input: the channels of a module that has numbers for each, and as
    many dimensions as these numbers ask for; empty where any shape will do."""
    if not isinstance(function, torch.nn.Module):
        return ()
    count = max((tensor.numel() for tensor in (*function.parameters(), *function.buffers())), default=1)
    for shape in ((count, *(1,) * axes) for axes in range(4) if count > 1):
        x = torch.zeros(count + 3, *shape, dtype=torch.float64, device="cpu")
        try:
            with torch.no_grad():
                if function(x).shape == x.shape:
                    return shape
        except (RuntimeError, TypeError, ValueError, IndexError):
            continue
    return ()


def _integrand(function: Callable[[Tensor], Tensor], channels: tuple[int, ...], x: np.ndarray, q: float) -> np.ndarray:
    """φ, φ², φ²x²/q and φ'² at each point; their means over channels, where these differ."""
    size = max(1, _PIECE // max(1, prod(channels)))
    return np.concatenate(
        [_moments(function, channels, x[start : start + size], q) for start in range(0, len(x), size)], axis=-1
    )


def _moments(function: Callable[[Tensor], Tensor], channels: tuple[int, ...], x: np.ndarray, q: float) -> np.ndarray:
    points = _spread(torch.from_numpy(x), channels)
    # One row a point, one column a channel.
    values, slopes = (part(function, points).reshape(len(x), -1) for part in (evaluate, differentiate))
    square = (values**2).mean(axis=1)
    return np.stack([values.mean(axis=1), square, square * x**2 / q, (slopes**2).mean(axis=1)])


def _spread(x: Tensor, channels: tuple[int, ...]) -> Tensor:
    """The same points in every channel."""
    return x.view(-1, *(1 for _ in channels)).expand(-1, *channels)


def evaluate(function: Callable[[Tensor], Tensor], x: Tensor) -> np.ndarray:
    """φ at each point."""
    # A copy, because an activation may work in place.
    with torch.no_grad():
        return function(x.clone()).numpy()


def differentiate(function: Callable[[Tensor], Tensor], x: Tensor) -> np.ndarray:
    """φ' by autograd; nan for what it cannot see through."""
    leaf = x.clone().requires_grad_()
    try:
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(function(leaf.clone()).sum(), leaf)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return np.full(x.shape, np.nan)
    return gradient.numpy()


def _check_elementwise(function: Callable[[Tensor], Tensor], channels: tuple[int, ...], name: str) -> None:
    """Refuses what mixes elements or draws random numbers."""
    x = _spread(torch.linspace(-12, 12, 768, dtype=torch.float64, device="cpu"), channels)
    values, part = evaluate(function, x), evaluate(function, x[1::3])
    fixed = values.shape == x.shape and np.allclose(values[1::3], part, rtol=1e-9, atol=1e-12)
    if fixed and channels:
        other = x.clone()
        other[:, 0] = 1.0
        fixed = np.allclose(evaluate(function, other)[:, 1:], values[:, 1:], rtol=1e-9, atol=1e-12)
    if not fixed:
        raise Refusal(f"{name} is not a fixed elementwise function, so it has no gain", _HINT)
