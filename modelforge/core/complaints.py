"""Pydantic's complaints about a scheme's fields, in the words that modelforge uses: what must be, and what is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from modelforge.core.docstrings import field_docs
from modelforge.core.errors import did_you_mean, quoted

_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_KINDS = {
    "float_type": "be a number",
    "int_type": "be a whole number",
    "bool_type": "be true or false",
    "string_type": "be text",
    "finite_number": "be a finite number",
}


@dataclass(frozen=True, slots=True)
class WrongField:
    """A field that does not go with the others; `message` starts with "must"."""

    field: str
    message: str
    hint: str = ""
    code: str = "MF091"
    """Of the problem that it is, see `modelforge.core.errors`."""


def contradiction(model: type[BaseModel], wrong: Sequence[WrongField], data: Any) -> ValidationError:
    """The error for fields that are fine one by one, and not together."""
    errors = [_error(item.code, item.message, item.hint, (item.field,), data) for item in wrong]
    return ValidationError.from_exception_data(model.__name__, errors)


def reworded(error: ValidationError, model: type[BaseModel], name: str = "") -> ValidationError:
    """The same errors at the same fields; each has its way out in `ctx["hint"]`, empty if there is none.

    Args:
        error: What Pydantic found.
        model: The model whose fields they are.
        name: What a config calls the model; default its class name.
    """
    errors = [_reword(detail, model, name or model.__name__) for detail in error.errors()]
    return ValidationError.from_exception_data(error.title, errors)


def _reword(detail: ErrorDetails, model: type[BaseModel], name: str) -> InitErrorDetails:
    kind, location, value = detail["type"], detail["loc"], detail["input"]
    context: dict[str, Any] = detail.get("ctx", {})
    hint = str(context.get("hint", ""))
    if kind == "extra_forbidden":
        message = f"is not a field of `{name}`"
        hint = did_you_mean(str(location[-1]), model.model_fields) or "this scheme has no fields"
    elif kind == "missing":
        message = "must be given"
    elif kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        message = f"must be one of {', '.join(f'`{choice}`' for choice in choices)}, but is {quoted(value)}"
        nearest = did_you_mean(str(value), choices)
        hint = nearest if nearest.startswith("did") else ""
    elif kind in _BOUNDS:
        phrase, key = _BOUNDS[kind]
        message = f"must be {phrase} {context[key]:g}, but is {quoted(value)}"
    elif detail["msg"].startswith("Input should "):
        message = f"must {_KINDS.get(kind, detail['msg'].removeprefix('Input should '))}, but is {quoted(value)}"
    else:
        message = detail["msg"].removeprefix("Value error, ")
    return _error(kind, message, hint or _meaning(model, location), location, value)


def _meaning(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """What a field is, in the words of its declaration."""
    text = field_docs(model).get(str(location[0]), "") if location else ""
    words = " ".join(text.split()).removesuffix(".")
    return f"`{location[0]}`: {words}" if words else ""


def code(detail: ErrorDetails) -> str:
    """Of a complaint about a scheme's fields, the code of the problem that it is."""
    kind = detail["type"]
    return kind if kind.startswith("MF") else "MF090" if kind == "missing" else "MF022"


def _error(kind: str, message: str, hint: str, location: tuple[int | str, ...], value: Any) -> InitErrorDetails:
    # The message goes in as data: as a template, its braces would be read.
    error = PydanticCustomError(kind, "{message}", {"message": message, "hint": hint})  # pyright: ignore[reportArgumentType]  # kinds are not literals
    return InitErrorDetails(type=error, loc=location, input=value)
