"""Keyword arguments from a config → checked against a callable's own signature: names, types, what is missing."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from modelforge.core.complaints import as_whole, in_words
from modelforge.core.errors import Problem
from modelforge.core.quoting import quoted
from modelforge.core.suggestions import did_you_mean, nearest


def misuse(key: str, message: str, hint: str = "", *, part: Literal["key", "value"] = "value") -> Problem:
    """The problem of a setting of the training."""
    return Problem("MF051", key, message, hint, part=part)


def check_arguments(
    target: Callable[..., Any], values: Mapping[str, Any], path: str, *, reserved: Mapping[str, str]
) -> tuple[dict[str, Any], list[Problem]]:
    """Fits `values` to the parameters of `target`.

    Args:
        target: A class or function; its annotations are the types of the arguments.
        values: The section of the config.
        path: Override key of `values`, for the problems.
        reserved: Arguments that a config may not give, unless it is their default, each with the reason.

    Returns:
        The arguments, ready to pass, and all that is wrong with them.
    """
    name = getattr(target, "__name__", str(target))
    parameters = _parameters(target)
    hints = argument_types(target)
    known = set(parameters) - set(reserved)
    arguments: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in values.items():
        where = f"{path}.{key}"
        if key in reserved:
            if key in parameters and value == parameters[key].default:
                continue  # torch's signature, written out
            problems.append(misuse(where, f"`{key}` of {name} is not for a config to set", reserved[key]))
        elif key not in known:
            problems.append(misuse(where, f"{name} has no argument `{key}`", did_you_mean(key, known), part="key"))
        else:
            hint = hints.get(key, Any)
            try:
                arguments[key] = fit(value, hint)
            except ValidationError:
                message = f"`{key}` of {name} must be {in_words(hint)}, but is {quoted(value)}"
                problems.append(misuse(where, message, _nearest(value, hint)))
    required = {key for key in known if parameters[key].default is inspect.Parameter.empty}
    for key in sorted(required - set(values)):
        problems.append(misuse(path, f"{name} needs the argument `{key}`", f"add `{key}: ...`", part="key"))
    return arguments, problems


def fit(value: Any, hint: Any) -> Any:
    """A value of a config as the type that an annotation asks for; YAML has lists where Python has tuples.

    Raises:
        pydantic.ValidationError: it is of another type.
    """
    choices = _choices(hint)
    if isinstance(value, list) and any(get_origin(choice) is tuple or choice is tuple for choice in choices):
        value = tuple(value)
    is_enum = inspect.isclass(hint) and issubclass(hint, Enum)  # strict, it takes no values of YAML
    return _adapter(hint, not is_enum).validate_python(value)


def _adapter(hint: Any, strict: bool) -> TypeAdapter[Any]:
    """What checks values of a type; it is kept: to make one takes longer than all that it checks."""
    try:
        return _made(hint, strict)
    except TypeError:  # a type that cannot be hashed
        return _made.__wrapped__(hint, strict)


@lru_cache(maxsize=500)
def _made(hint: Any, strict: bool) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(strict=strict, arbitrary_types_allowed=True))


def _nearest(value: Any, hint: Any) -> str:
    """The hint for a word that an annotation does not list, or for a float where it asks for a whole number."""
    if int in (choices := _choices(hint)) and float not in choices and (written := as_whole(value)):
        return written
    words = [word for choice in choices if get_origin(choice) is Literal for word in get_args(choice)]
    return nearest(value, [word for word in words if isinstance(word, str)])


def _choices(hint: Any) -> Iterable[Any]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


@lru_cache(maxsize=500)
def _parameters(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    keywords = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name: parameter
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.kind in keywords
    }


@lru_cache(maxsize=500)
def argument_types(target: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations of a callable by argument; empty where they exist for type checkers alone."""
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        return {}
