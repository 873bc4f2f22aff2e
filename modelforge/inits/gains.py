"""Gains: how much larger weights must be so that an activation keeps the second moment of what flows through it.

The gain of φ is 1/√E φ(z)² with z ~ N(0, 1), found by quadrature, so it exists for every elementwise function and not
for a fixed list only. `torch.tanh` and the like are the constants of `torch.nn.init.calculate_gain` where users need
those.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError
from torch import Tensor

from modelforge.errors import did_you_mean
from modelforge.inits.base import CannotServe
from modelforge.inits.block import Activation, Block
from modelforge.inits.fields import LIMIT


def _identity(x: Tensor) -> Tensor:
    return x


# (class in torch.nn, other names, function with the class's default arguments). A random slope has no gain of its own:
# RReLU stands for its mean slope, as in evaluation.
_ROWS: tuple[tuple[str, tuple[str, ...], Callable[[Tensor], Tensor]], ...] = (
    ("CELU", ("celu",), F.celu),
    ("ELU", ("elu",), F.elu),
    ("GELU", ("gelu",), F.gelu),
    ("Hardshrink", ("hardshrink",), F.hardshrink),
    ("Hardsigmoid", ("hardsigmoid",), F.hardsigmoid),
    ("Hardswish", ("hardswish",), F.hardswish),
    ("Hardtanh", ("hardtanh",), F.hardtanh),
    ("Identity", ("identity", "linear"), _identity),
    ("LeakyReLU", ("leaky_relu",), F.leaky_relu),
    ("LogSigmoid", ("logsigmoid",), F.logsigmoid),
    ("Mish", ("mish",), F.mish),
    ("PReLU", ("prelu",), lambda x: F.leaky_relu(x, 0.25)),
    ("RReLU", ("rrelu",), F.rrelu),
    ("ReLU", ("relu",), F.relu),
    ("ReLU6", ("relu6",), F.relu6),
    ("SELU", ("selu",), F.selu),
    ("SiLU", ("silu",), F.silu),
    ("Sigmoid", ("sigmoid",), torch.sigmoid),
    ("Softplus", ("softplus",), F.softplus),
    ("Softshrink", ("softshrink",), F.softshrink),
    ("Softsign", ("softsign",), F.softsign),
    ("Tanh", ("tanh",), torch.tanh),
    ("Tanhshrink", ("tanhshrink",), F.tanhshrink),
)
_FUNCTIONS = {name: function for cls, others, function in _ROWS for name in (cls, *others)}
_TORCH = {
    "torch.linear": 1.0,
    "torch.sigmoid": 1.0,
    "torch.tanh": 5 / 3,
    "torch.relu": math.sqrt(2),
    "torch.leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
    "torch.selu": 3 / 4,
}
_REACH = 12.0
_TOLERANCE = 1e-11
_MAX_HALVINGS = 40
_HINT = "give `gain` a number, or an activation's name"


@dataclass(frozen=True, slots=True)
class ResolvedGain:
    """A gain as a number, and the activation it was taken from ("" where the number was given)."""

    value: float
    activation: str = ""

    def numbers(self) -> dict[str, Any]:
        """What the ledger shows of it."""
        return {"gain": self.value} | ({"activation": self.activation} if self.activation else {})


def names() -> tuple[str, ...]:
    """Every activation that `gain:` knows by name.

    >>> {"ReLU", "relu", "torch.tanh"} < set(names())
    True
    """
    return (*_FUNCTIONS, *_TORCH)


@cache
def named_gain(name: str) -> float:
    """The gain of a known activation.

    >>> round(named_gain("ReLU"), 6), round(named_gain("tanh"), 6), round(named_gain("torch.tanh"), 6)
    (1.414214, 1.592537, 1.666667)

    Raises:
        KeyError: the name is not among `names()`.
    """
    return _TORCH[name] if name in _TORCH else gain_of(Activation(name, _FUNCTIONS[name]))


def gain_of(activation: Activation) -> float:
    """1/√E φ(z)², z ~ N(0, 1), by adaptive Gauss-Legendre quadrature on [-12, 12].

    It is remembered for the function itself, not for the name: a layer that is registered anew may have another.

    Raises:
        CannotServe: the function is not elementwise, not deterministic, or has no finite positive second moment.
    """
    return _gain(activation.function, activation.name)


def resolve_gain(gain: float | str, block: Block) -> ResolvedGain:
    """The gain for one block: a number as it is, a name by its gain, `auto` by the activation that follows.

    Raises:
        CannotServe: `auto`, and several different activations follow, or what follows is not known.
    """
    if not isinstance(gain, str):
        return ResolvedGain(float(gain))
    if gain != "auto":
        return ResolvedGain(named_gain(gain), gain)
    if block.activations is None:
        reason = "`gain: auto` needs to know what follows, and the graph is not known here"
        raise CannotServe(reason, "give `gain` a number or an activation's name")
    followers = list(dict.fromkeys(block.activations))
    if not followers:
        return ResolvedGain(1.0, "none")
    if len(followers) > 1:
        what = ", ".join(follower.name for follower in followers[:-1]) + f" and {followers[-1].name}"
        raise CannotServe(f"`gain: auto` is ambiguous: {what} follow", "name one of them")
    return ResolvedGain(gain_of(followers[0]), followers[0].name)


def _check(gain: Any) -> Any:
    if isinstance(gain, str):
        if gain == "auto" or gain in _FUNCTIONS or gain in _TORCH:
            return gain
        hint = did_you_mean(gain, ("auto", *names())) or "see `modelforge list activations`"
    elif isinstance(gain, int | float) and not isinstance(gain, bool) and 0 < gain <= LIMIT:
        return float(gain)
    else:
        hint = "zero weights have a scheme of their own: `zeros`" if gain == 0 and not isinstance(gain, bool) else ""
    message = f"must be a positive number, `auto` or an activation's name, but is {gain!r}"
    raise PydanticCustomError("gain", "{message}", {"message": message, "hint": hint})


Gain = Annotated[
    float | str,
    BeforeValidator(_check),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "title": "auto | activation", "enum": ["auto", *names()]},
            ]
        }
    ),
]
"""The type of a field `gain`; `resolve_gain` makes a number of it."""


@lru_cache(maxsize=256)
def _gain(function: Callable[[Tensor], Tensor], name: str) -> float:
    activation = Activation(name, function)
    second_moment = _second_moment(activation)
    if not 0 < second_moment < math.inf:
        reason = f"the second moment of {activation.name} is {second_moment:g}, so it has no gain"
        raise CannotServe(reason, "give `gain` a number")
    return 1 / math.sqrt(second_moment)


def _second_moment(activation: Activation) -> float:
    """E φ(z)². Panels whose halves disagree with the whole are halved until the kink or step in them is negligible."""
    function = _function(activation)
    _check_elementwise(activation, function)
    left, right = _first_panels()
    whole = _integrate(function, left, right)
    done = 0.0
    for _ in range(_MAX_HALVINGS):
        middle = (left + right) / 2
        halves = _integrate(function, np.stack([left, middle]), np.stack([middle, right]))
        sums = halves.sum(axis=0)
        # What is infinite or not a number is not rough, and ends up in the sum.
        with np.errstate(invalid="ignore"):
            rough = np.abs(sums - whole) > _TOLERANCE * (done + sums.sum())
        done += float(sums[~rough].sum())
        left, right = np.concatenate([left[rough], middle[rough]]), np.concatenate([middle[rough], right[rough]])
        whole = halves[:, rough].ravel()
        if not len(whole):
            break
    return done + float(whole.sum())


def _function(activation: Activation) -> Callable[[np.ndarray], np.ndarray]:
    """φ in float64."""
    function = activation.function
    if isinstance(function, torch.nn.Module):
        function = copy.deepcopy(function).double()

    def evaluate(z: np.ndarray) -> np.ndarray:
        try:
            # A copy, because an activation may work in place.
            with torch.no_grad():
                return function(torch.from_numpy(z.copy())).numpy()
        except (RuntimeError, TypeError, ValueError) as error:
            first_line = next(iter(str(error).splitlines()), type(error).__name__)
            raise CannotServe(f"the gain of {activation.name} cannot be computed: {first_line}", _HINT) from error

    return evaluate


def _check_elementwise(activation: Activation, function: Callable[[np.ndarray], np.ndarray]) -> None:
    """Refuses what mixes elements or draws random numbers."""
    z = np.linspace(-_REACH, _REACH, 768)
    values, part = function(z), function(z[1::3])
    if values.shape != z.shape or not np.allclose(values[1::3], part, rtol=1e-9, atol=1e-12):
        raise CannotServe(f"{activation.name} is not a fixed elementwise function, so it has no gain", _HINT)


def _integrate(function: Callable[[np.ndarray], np.ndarray], left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """∫ φ² dN(0, 1) over each panel."""
    nodes, weights = _gauss_legendre()
    half = (right - left)[..., None] / 2
    z = left[..., None] + half * (nodes + 1)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    with np.errstate(over="ignore", invalid="ignore"):
        return (function(z.ravel()).reshape(z.shape) ** 2 * density * weights * half).sum(axis=-1)


@cache
def _gauss_legendre() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(8)


@cache
def _first_panels() -> tuple[np.ndarray, np.ndarray]:
    """Panels whose ends fall on the usual kinks, the multiples of ½, and that shrink towards those: between an end and
    the first node of a panel, a step would not be seen."""
    kinks = np.arange(-_REACH, _REACH + 0.25, 0.5)
    steps = 0.5 ** np.arange(2, 22)
    ends = np.unique(np.clip(kinks[:, None] + np.concatenate([-steps, [0.0], steps]), -_REACH, _REACH))
    return ends[:-1], ends[1:]
