"""Gains: how much larger weights must be so that an activation keeps the second moment of what flows through it.

The gain of φ is 1/√E φ(z)² with z ~ N(0, 1), found by quadrature, so it exists for every elementwise function and not
for a fixed list only. `torch.tanh` and the like are the constants of `torch.nn.init.calculate_gain` where users need
those.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from modelforge.core.complaints import wrong
from modelforge.core.errors import Refusal
from modelforge.core.matrix import Activation, Matrix
from modelforge.core.quoting import listed, quoted
from modelforge.core.suggestions import did_you_mean
from modelforge.inits.fields import LIMIT
from modelforge.inits.gains.activations import (
    UnknownActivation,
    activation_names,
    check_arguments,
    find_activation,
    read_call,
)
from modelforge.inits.gains.statistics import statistics

MAX_NAMED = 5
"""Activations that a message names."""


def _leaky_relu(negative_slope: float = 0.01) -> float:
    return math.sqrt(2 / (1 + negative_slope**2))


_TORCH: dict[str, Callable[..., float]] = {
    "torch.linear": lambda: 1.0,
    "torch.sigmoid": lambda: 1.0,
    "torch.tanh": lambda: 5 / 3,
    "torch.relu": lambda: math.sqrt(2),
    "torch.leaky_relu": _leaky_relu,
    "torch.selu": lambda: 3 / 4,
}


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
    return (*activation_names(), *_TORCH)


def named_gain(text: str) -> float:
    """The gain of an activation that is known by name, with its arguments if it has any.

    >>> [round(named_gain(text), 6) for text in ("ReLU", "LeakyReLU(0.2)", "tanh", "torch.tanh")]
    [1.414214, 1.38675, 1.592537, 1.666667]

    Raises:
        UnknownActivation: there is none of this name, or it does not take these arguments.
        Refusal: it has no finite positive second moment.
    """
    return _torch_constant(text) if _is_torch_s(text) else gain_of(find_activation(text))


def gain_of(activation: Activation) -> float:
    """1/√E φ(z)², z ~ N(0, 1).

    Raises:
        Refusal: the function is not elementwise, not deterministic, or has no finite positive second moment.
    """
    return statistics(activation).forward_gain


def backward_gain_of(activation: Activation, q: float = 1.0) -> float:
    """1/√E φ'(x)², x ~ N(0, q): what keeps the second moment of gradients.

    Raises:
        Refusal: as for `gain_of`, and where φ is flat or has no derivative that autograd knows.
    """
    found = statistics(activation, q)
    if not 0 < found.derivative < math.inf:
        reason = f"the mean square of the derivative of {activation.name} is {found.derivative:g}"
        raise Refusal(f"{reason}, so no gain keeps gradients", "name another activation, or choose another scheme")
    return found.backward_gain


# At q* = 1, the edge of chaos (χ1 = 1) and the gain that keeps gradients are one.
_AUTOMATIC: dict[str, Callable[[Activation], float]] = {
    "auto": gain_of,
    "auto_backward": backward_gain_of,
    "critical": backward_gain_of,
}


def resolve_gain(gain: float | str, matrix: Matrix) -> ResolvedGain:
    """The gain for one matrix: a number as it is, a name by its gain, the others by the activation that follows.

    Raises:
        Refusal: several different activations follow, what follows is not known, or it has no gain.
    """
    if not isinstance(gain, str):
        return ResolvedGain(float(gain))
    automatic = _automatic(gain)
    if automatic is None:
        return ResolvedGain(named_gain(gain), gain)
    activation = next_activation(matrix, f"`gain: {gain}`", "`gain` a number or an activation's name")
    if activation is None:
        return ResolvedGain(1.0, "none")
    return ResolvedGain(automatic(activation), activation.name)


def _automatic(text: str) -> Callable[[Activation], float] | None:
    """What makes a gain of the activation that follows; None where the text names one itself.

    Raises:
        Refusal: it does not take these arguments.
    """
    if text in _AUTOMATIC or text.partition("(")[0].strip() not in _AUTOMATIC:
        return _AUTOMATIC.get(text)
    call = read_call(text)
    if call.name != "critical":
        raise Refusal(f"`{text}`: `{call.name}` takes no arguments", f"it is `{call.name}`")
    arguments = call.bind(_plain(inspect.signature(_critical)))
    check_arguments(text, _critical, arguments, "as in `critical(0.5)`")
    q = arguments.get("q", 1.0)
    if not 0 < q <= LIMIT:
        raise Refusal(f"`{text}`: `q` must be greater than 0, but is {q!r}", "it is a variance, 1 if left out")
    return lambda activation: backward_gain_of(activation, float(q))


def _plain(signature: inspect.Signature) -> inspect.Signature:
    """Without annotations, as hints show it."""
    parameters = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    return inspect.Signature(parameters)


def _critical(q: float = 1.0) -> None:
    """What `critical(q)` takes: the variance of what goes into the activation."""


def next_activation(matrix: Matrix, asked: str, instead: str) -> Activation | None:
    """The one activation that reads what a parameter makes; None where none follows.

    Args:
        matrix: A matrix of the parameter.
        asked: The field and its value, for messages.
        instead: What to give, for hints.

    Raises:
        Refusal: several different activations follow, or what follows is not known.
    """
    if matrix.activations is None:
        raise Refusal(f"{asked} needs to know what follows, and the graph is not known here", f"give {instead}")
    followers = list(dict.fromkeys(matrix.activations))
    if len(followers) > 1:
        what = listed([follower.name for follower in followers], MAX_NAMED)
        raise Refusal(f"{asked} is ambiguous: {what} follow", "name one of them")
    return followers[0] if followers else None


def _is_torch_s(text: str) -> bool:
    return text.lstrip().startswith("torch.")


def _torch_constant(text: str) -> float:
    call = read_call(text)
    if call.name not in _TORCH:
        raise UnknownActivation(f"torch has no gain `{call.name}`", did_you_mean(call.name, _TORCH))
    constant = _TORCH[call.name]
    arguments = call.bind(_plain(inspect.signature(constant)))
    check_arguments(text, constant, arguments, "as in `torch.leaky_relu(0.2)`")
    return constant(**arguments)


def _find_gain(text: str) -> object:
    return _automatic(text) or (_torch_constant if _is_torch_s(text) else find_activation)(text)


def _check_gain(gain: Any) -> Any:
    must = "a positive number, `auto` or an activation's name"
    if isinstance(gain, str):
        return _check_name(gain, _find_gain, tuple(_AUTOMATIC), names(), must)
    if isinstance(gain, int | float) and not isinstance(gain, bool) and 0 < gain <= LIMIT:
        return float(gain)
    hint = "zero weights have a scheme of their own: `zeros`" if gain == 0 and not isinstance(gain, bool) else ""
    raise wrong("MF022", f"must be {must}, but is {quoted(gain)}", hint)


def _check_activation(name: Any) -> Any:
    must = "`auto` or an activation's name"
    if isinstance(name, str):
        return _check_name(name, find_activation, ("auto",), activation_names(), must)
    raise wrong("MF022", f"must be {must}, but is {quoted(name)}", "see `modelforge list activations`")


def _check_name(
    text: str, find: Callable[[str], object], words: tuple[str, ...], known: tuple[str, ...], must: str
) -> str:
    if text in words:
        return text
    try:
        find(text)
    except UnknownActivation:
        hint = _as_number(text) or did_you_mean(text.partition("(")[0], (*words, *known))
        hint = hint or "see `modelforge list activations`"
        raise wrong("MF022", f"must be {must}, but is {quoted(text)}", hint) from None
    except Refusal as refusal:
        raise wrong("MF022", refusal.reason, refusal.hint) from None
    return text


def _as_number(text: str) -> str:
    """The hint for a number, or a root of one, that is written as a text."""
    number = re.fullmatch(r"(sqrt\(|√)?\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*\)?", text.strip(), re.IGNORECASE)
    if number is None:
        return ""
    value = float(number[2])
    return f"write the number: `gain: {math.sqrt(value) if number[1] else value:.6g}`"


@dataclass(frozen=True, slots=True)
class _Schema:
    """JSON Schema: completions for the names that there are, and a pattern for those with arguments."""

    options: tuple[dict[str, Any], ...]
    words: tuple[str, ...]
    known: Callable[[], tuple[str, ...]]

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        title = " | ".join([*self.words, "activation"])
        named = {"type": "string", "title": title, "enum": [*self.words, *self.known()]}
        with_arguments = {"type": "string", "title": "activation(…)", "pattern": r"^\s*[A-Za-z_][\w.]*\s*\(.*\)\s*$"}
        return {"anyOf": [*self.options, named, with_arguments]}


Gain = Annotated[
    float | str,
    BeforeValidator(_check_gain),
    _Schema(({"type": "number", "exclusiveMinimum": 0},), tuple(_AUTOMATIC), names),
]
"""The type of a field `gain`; `resolve_gain` makes a number of it."""

ActivationName = Annotated[str, BeforeValidator(_check_activation), _Schema((), ("auto",), activation_names)]
"""The type of a field `activation`: `auto`, or a name that `find_activation` knows."""
