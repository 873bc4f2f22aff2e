"""The registry of activations: from a name, with arguments or without, such as `LeakyReLU(0.2)`, to a function.

A class of torch.nn and a function of one tensor are declared alike: what follows the tensor are the arguments.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Activation
from modelforge.core.registry import Registry

RESERVED = frozenset({"auto", "auto_backward", "critical", "none"})
"""Words that mean something else where an activation is named."""

ACTIVATIONS = Registry[Callable[..., Any]]("an activation", "modelforge.initializers")
"""Every activation by its names: functions of a tensor, and classes of modules."""
unregister_activation = ACTIVATIONS.remove

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

_CALL = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(\(([^()]*)\))?\s*")
_ARGUMENT = re.compile(r"\s*(?:([A-Za-z_]\w*)\s*=)?\s*(.*?)\s*")
_INTEGER = re.compile(r"[+-]?\d{1,15}")
_NUMBER = re.compile(r"[+-]?(\d{1,20}\.?\d{0,20}|\.\d{1,20})([eE][+-]?\d{1,2})?")
_WORD = re.compile(r"""(["']?)([A-Za-z_]\w*)\1""")
_WORDS = {"true": True, "false": False}
# Whether it works in place does not change values.
_NOT_SET = frozenset({"inplace", "min_value", "max_value", "device", "dtype"})
# Slopes start alike, whatever their number, so that one serves every channel.
_COUNT = "num_parameters"
_KINDS: dict[Any, tuple[tuple[type, ...], str]] = {
    float: ((int, float), "a number"),
    int: ((int,), "a whole number"),
    bool: ((bool,), "true or false"),
    str: ((str,), "a word"),
}


class UnknownActivation(Refusal):
    """A text that names no activation."""


@dataclass(frozen=True, slots=True)
class Call:
    """A name and the arguments after it, as they were written."""

    name: str
    positional: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()

    def bind(self, signature: inspect.Signature) -> dict[str, Any]:
        """The arguments by name.

        Raises:
            Refusal: the signature has no such arguments.
        """
        try:
            return signature.bind(*self.positional, **dict(self.named)).arguments
        except TypeError as error:
            raise Refusal(f"`{self.name}`: {error}", f"it is `{self.name}{signature}`") from None


@overload
def register_activation(name: str, function: None = None, aliases: tuple[str, ...] = ()) -> Callable[..., Any]: ...
@overload
def register_activation(name: str, function: AnyFunction, aliases: tuple[str, ...] = ()) -> AnyFunction: ...
def register_activation(
    name: str, function: Callable[..., Any] | None = None, aliases: tuple[str, ...] = ()
) -> Callable[..., Any]:
    """Makes an elementwise function known as `gain: name` (and by its aliases); also a decorator.

    The function takes a tensor; arguments after it may be set in a config: `gain: snake(2)`. So may those of a
    module's class. Defining a function again under its old name, as in a notebook, replaces it.

    >>> import torch
    >>> @register_activation("snake")
    ... def snake(x: torch.Tensor, frequency: float = 1.0) -> torch.Tensor:
    ...     return x + torch.sin(frequency * x) ** 2 / frequency
    >>> find_activation("snake(2)")
    Activation(name='snake(frequency=2)')
    >>> unregister_activation("snake")

    Raises:
        TypeError: what is registered cannot be called.
        ValueError: the name is not an identifier, means something else, or is taken.
    """
    if function is None:
        return lambda function: register_activation(name, function, aliases)
    if not callable(function):
        raise TypeError(f"{function!r} is not a function of a tensor")
    for label in (name, *((aliases,) if isinstance(aliases, str) else aliases)):
        if not str(label).isidentifier() or label in RESERVED:
            raise ValueError(f"`{label}` cannot be the name of an activation")
    ACTIVATIONS.add(name, function, aliases)
    return function


def activation_names() -> tuple[str, ...]:
    """Every name, in the order of registration; those that cannot go without arguments are left out.

    >>> {"ReLU", "relu", "quick_gelu"} < set(activation_names()), "Threshold" in activation_names()
    (True, False)
    """
    others = ACTIVATIONS.aliases()
    names = [
        label for name in ACTIVATIONS.names() for label in (name, *(alias for alias in others if others[alias] == name))
    ]
    signatures = {label: _signature(ACTIVATIONS.get(label)) for label in names}
    empty = inspect.Parameter.empty
    return tuple(
        name
        for name, signature in signatures.items()
        if not any(parameter.default is empty for parameter in signature.parameters.values())
    )


def find_activation(text: str) -> Activation:
    """The activation that a text names, with its arguments if it has any.

    >>> find_activation("leaky_relu(0.2)"), find_activation("GELU(approximate=tanh)")
    (Activation(name='leaky_relu(negative_slope=0.2)'), Activation(name='GELU(approximate=tanh)'))

    Raises:
        UnknownActivation: there is none of this name.
        Refusal: it does not take these arguments, or fails on zero.
    """
    call = read_call(text)
    if call.name not in ACTIVATIONS:
        raise UnknownActivation(f"there is no activation `{call.name}`", ACTIVATIONS.suggest(call.name))
    return _called(text, call, ACTIVATIONS.get(call.name))


@lru_cache(maxsize=256)
def _called(text: str, call: Call, function: Callable[..., Any]) -> Activation:
    signature = _signature(function)
    arguments = call.bind(signature)
    hint = f"it is `{call.name}{signature}`"
    check_arguments(text, function, arguments, hint)
    arguments.pop(_COUNT, None)
    try:
        made = _make(function, arguments)
        made(torch.zeros(1, device="cpu"))
    # A registered function may raise any error, and a config must not show a traceback.
    except Exception as error:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        raise Refusal(f"`{text}`: {first_line}", hint) from error
    shown = ", ".join(f"{name}={value}" for name, value in arguments.items())
    return Activation(f"{call.name}({shown})" if shown else call.name, made)


def check_arguments(text: str, function: Callable[..., Any], arguments: dict[str, Any], hint: str) -> None:
    """Checks the kinds of arguments where a function says them: `true` is not a slope.

    Raises:
        Refusal: one is of another kind.
    """
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # a builtin of torch
        return
    names = {kind.__name__: kind for kind in _KINDS}
    for name, value in arguments.items():
        annotation = parameters[name].annotation
        kinds, what = _KINDS.get(names.get(annotation, annotation), ((object,), ""))
        boolean = isinstance(value, bool) and bool not in kinds and object not in kinds
        if boolean or not isinstance(value, kinds) or (name == _COUNT and value < 1):
            what = "at least 1" if name == _COUNT and isinstance(value, int) and not boolean else what
            shown = str(value).lower() if isinstance(value, bool) else value
            raise Refusal(f"`{text}`: `{name}` must be {what}, but is {shown}", hint)


@lru_cache(maxsize=256)
def read_call(text: str) -> Call:
    """A name, and arguments in parentheses: numbers, `true`, `false` and words. Nothing in it is evaluated.

    >>> read_call("Hardtanh(-2, max_val=2)")
    Call(name='Hardtanh', positional=(-2,), named=(('max_val', 2),))

    Raises:
        UnknownActivation: the text is something else.
    """
    match = _CALL.fullmatch(text) if len(text) <= 200 else None
    if match is None:
        kind = Refusal if "(" in text else UnknownActivation
        raise kind(f"`{text[:60]}` cannot be read as an activation", "write it as `LeakyReLU(0.2)`")
    name, _, inside = match.groups()
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for part in inside.split(",") if inside and inside.strip() else ():
        key, value = _argument(name, part)
        if key is None and named:
            raise Refusal(f"`{name}`: `{value}` has no name, but follows a named argument", "name it too")
        if key in named:
            raise Refusal(f"`{name}`: `{key}` is given twice", "leave one out")
        if key is None:
            positional.append(value)
        else:
            named[key] = value
    return Call(name, tuple(positional), tuple(named.items()))


def _argument(name: str, text: str) -> tuple[str | None, Any]:
    match = _ARGUMENT.fullmatch(text)
    assert match is not None
    key, value = match.groups()
    if _INTEGER.fullmatch(value):
        return key, int(value)
    if _NUMBER.fullmatch(value):
        return key, float(value)
    if word := _WORD.fullmatch(value):
        return key, _WORDS.get(word[2].lower(), word[2])
    raise Refusal(f"`{name}`: the argument `{value}` is neither a number nor a word", "as in `LeakyReLU(0.2)`")


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """What a config may set: the arguments of a class, or those after the tensor of a function."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # a builtin of torch
        parameters = []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    own = parameters if isinstance(function, type) else parameters[1:]
    kept = [parameter for parameter in own if parameter.kind not in variadic and parameter.name not in _NOT_SET]
    return inspect.Signature([parameter.replace(annotation=inspect.Parameter.empty) for parameter in kept])


def _make(function: Callable[..., Any], arguments: dict[str, Any]) -> Callable[[Tensor], Tensor]:
    if isinstance(function, type):
        # A random slope has no gain of its own: RReLU stands for its mean slope, as in evaluation.
        return function(**arguments).eval()
    return (lambda x: function(x, **arguments)) if arguments else function


def _quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def _squared_relu(x: Tensor) -> Tensor:
    return torch.relu(x).square()


_ALIASES = {"Identity": ("identity", "linear"), "LeakyReLU": ("leaky_relu",), "SiLU": ("silu", "swish")}
for _cls in (
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.Identity, nn.LeakyReLU,
    nn.LogSigmoid, nn.Mish, nn.PReLU, nn.RReLU, nn.ReLU, nn.ReLU6, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus,
    nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink, nn.Threshold,
):  # fmt: skip
    register_activation(_cls.__name__, _cls, _ALIASES.get(_cls.__name__, (_cls.__name__.lower(),)))
register_activation("abs", torch.abs)
register_activation("erf", torch.erf)
register_activation("sin", torch.sin)
register_activation("quick_gelu", _quick_gelu)
register_activation("squared_relu", _squared_relu, ("relu2",))
