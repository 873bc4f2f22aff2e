"""A section that names a class of torch by `type` → the class, its checked arguments, and what it refuses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import torch

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import quoted, shortened
from modelforge.core.suggestions import did_you_mean
from modelforge.train.arguments import check_arguments, misuse

T = TypeVar("T")
REFUSALS = (TypeError, ValueError, RuntimeError, ArithmeticError)
"""What constructors of torch raise of arguments that they do not take."""
WITHOUT = MappingProxyType(
    {
        "SparseAdam": "it takes sparse gradients only, and no layer here makes them",
        "LambdaLR": "it takes a function, and a config is data",
        "MultiplicativeLR": "it takes a function, and a config is data",
    }
)
"""Classes that a config cannot name, each with the reason."""


def classes(module: Any, base: type[T]) -> dict[str, type[T]]:
    """The public classes of a module that derive from `base` and that a config may name."""
    found = inspect.getmembers(module, lambda one: inspect.isclass(one) and issubclass(one, base) and one is not base)
    return {name: one for name, one in found if not name.startswith("_") and name not in WITHOUT}


def split(section: Any, *names: str) -> tuple[Mapping[str, Any], Any]:
    """The keys of a section that are modelforge's own, and the others."""
    if not isinstance(section, Mapping):
        return {}, section
    own = {name: section[name] for name in names if name in section}
    return own, {key: value for key, value in section.items() if key not in own}


def parse_class(
    section: Any,
    path: str,
    noun: str,
    known: Mapping[str, type[T]],
    reserved: Mapping[str, str],
    others: Sequence[str] = (),
) -> tuple[type[T] | None, dict[str, Any], list[Problem]]:
    """The class that a section names, and its arguments.

    Args:
        section: A mapping with `type`.
        path: Its override key.
        noun: What the section is.
        known: The classes by name.
        reserved: Arguments that a config may not give, each with the reason.
        others: Further names that `type` may have, for hints.
    """
    if not isinstance(section, Mapping):
        message = f"`{path}` must be a mapping with a `type`, but is {quoted(section)}"
        return None, {}, [misuse(path, message)]
    name = section.get("type")
    if name is None:
        return None, {}, [misuse(path, f"this {noun} has no `type`", "add `type: ...`", part="key")]
    if not isinstance(name, str) or name not in known:
        hint = WITHOUT.get(str(name)) or did_you_mean(str(name), (*known, *others))
        return None, {}, [misuse(f"{path}.type", f"unknown {noun} `{shortened(str(name))}`", hint)]
    values = {str(key): value for key, value in section.items() if key != "type"}
    arguments, problems = check_arguments(known[name], values, path, reserved=reserved)
    return known[name], arguments, problems


def construct(kind: type[Any], path: str, arguments: Mapping[str, Any], make: Callable[[Mapping[str, Any]], T]) -> T:
    """What `make` makes.

    Raises:
        ForgeError: the constructor refuses; the argument without which it would not, or would for another reason, is
            to blame.
    """
    try:
        return make(arguments)
    except REFUSALS as error:
        reason = _reason(error)
    parameters = inspect.signature(kind).parameters
    blamed = [
        name
        for name in arguments
        if parameters[name].default is not inspect.Parameter.empty
        and _refusal(make, {key: value for key, value in arguments.items() if key != name}) != reason
    ]
    where = f"{path}.{blamed[0]}" if len(blamed) == 1 else path
    raise ForgeError([misuse(where, f"{kind.__name__} refuses its arguments: {reason}")])


def example() -> torch.nn.Parameter:
    """A parameter that any optimizer takes."""
    return torch.nn.Parameter(torch.zeros(1, 1))


def _refusal(make: Callable[[Mapping[str, Any]], object], arguments: Mapping[str, Any]) -> str:
    try:
        make(arguments)
    except REFUSALS as error:
        return _reason(error)
    return ""


def _reason(error: Exception) -> str:
    return "it divides by one that is 0" if isinstance(error, ZeroDivisionError) else str(error)
