"""Pydantic's errors → problems, and types in words: the one place where either is worded.

A validator of ours raises `wrong(...)`: the error has the code of the problem that it becomes, its hint, and whether a
key or its value is to blame. Pydantic's own errors get their code from the `Owner` of the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError, WrapValidator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

from modelforge.core.docstrings import field_docs
from modelforge.core.errors import Problem
from modelforge.core.paths import join, last, parent
from modelforge.core.quoting import quoted
from modelforge.core.suggestions import did_you_mean, nearest
from modelforge.core.words import a_class

Location = tuple[int | str, ...]
Part = Literal["key", "value"]

WORDS: Mapping[Any, str] = MappingProxyType(
    {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a string",
        list: "a list",
        tuple: "a list",
        dict: "a mapping",
        Mapping: "a mapping",
        NoneType: "null",
    }
)
"""The types of YAML, as every message names them."""
_TYPES = MappingProxyType(
    {
        "bool_type": bool,
        "dict_type": dict,
        "float_type": float,
        "int_type": int,
        "list_type": list,
        "model_type": dict,
        "string_type": str,
        "tuple_type": tuple,
    }
)
_BOUNDS = MappingProxyType(
    {
        "greater_than": ("greater than", "gt"),
        "greater_than_equal": ("at least", "ge"),
        "less_than": ("less than", "lt"),
        "less_than_equal": ("at most", "le"),
    }
)
_KNOWN = frozenset(get_args(ErrorType))
_CODE = re.compile(r"M[FW]\d{3}")


def in_words(kind: Any) -> str:
    """A type in the words of YAML; of a union, the types that YAML can hold.

    >>> in_words(int | tuple[int, int]), in_words(float | None), in_words(Literal["same", "valid"] | bytes)
    ('a whole number or a list of 2 whole numbers', 'a number or null', "'same' or 'valid'")
    """
    return " or ".join(dict.fromkeys(_options(kind))) or getattr(kind, "__name__", str(kind))


def _options(kind: Any) -> Iterator[str]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        for option in arguments:
            yield from _options(option)
    elif origin is Annotated:
        yield from _options(arguments[0])
    elif origin is Literal:
        yield from map(repr, arguments)
    elif origin in (tuple, list):
        number = "" if origin is list or Ellipsis in arguments else f"{len(arguments)} "
        item = in_words(arguments[0])
        yield f"a list of {number}{item.removeprefix('a ') if number == '1 ' else _plural(item)}"
    elif isinstance(kind, type) and issubclass(kind, Enum):
        yield from (repr(member.value) for member in kind)
    elif (origin or kind) in WORDS:
        yield WORDS[origin or kind]


def _plural(words: str) -> str:
    return re.sub(r"\ba ((?:whole )?\w+)", r"\1s", words)


def require(value: object, kinds: type | UnionType, what: str) -> None:
    """Checks what a public function is given: its callers need not be typed.

    Args:
        value: What is given.
        kinds: What it must be.
        what: That in words, beginning with the function: `digest takes an nn.Module`.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, kinds):
        raise TypeError(f"{what}, but gets {a_class(value)}")


def require_count(value: object, what: str) -> None:
    """Checks a number of things that a public function is given.

    Args:
        value: What is given.
        what: The function and the argument: ``predict takes `batch_size` examples``.

    Raises:
        ValueError: it is not a whole number from 1 on.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{what}, a whole number from 1 on, but gets {value!r}")


@dataclass(frozen=True, slots=True, repr=False)
class LazyHint:
    """A hint that is made when its problem is shown: of thousands of problems most never are."""

    find: Callable[[], str]

    def __call__(self) -> str:
        return self.find()


@dataclass(frozen=True, slots=True)
class Owner:
    """What has the keys that an error is about: how messages name it, and the codes of its problems."""

    name: str
    noun: str = "key"
    """What a key of it is called: `argument`, `field`."""
    model: type[BaseModel] | None = None
    """Its keys, with their meaning."""
    missing: str = "MF011"
    unknown: str = "MF015"
    wrong: str = "MF014"
    suggest: Callable[[str], str] | None = None
    """The hint for a key that it does not have; default the nearest field of `model`."""


@dataclass(frozen=True, slots=True)
class WrongField:
    """A field that does not go with the others; `message` starts with "must"."""

    field: str
    message: str
    hint: str = ""
    code: str = "MF091"
    """Of the problem that it is, see `modelforge.core.codes`."""


def problems(error: ValidationError, key: str, owner: Owner) -> list[Problem]:
    """All that Pydantic finds wrong with the value of an override key."""
    details = error.errors(include_url=False)
    return [problem(detail, join(key, *detail["loc"]), owner) for detail in details]


def problem(detail: ErrorDetails, key: str, owner: Owner) -> Problem:
    """One of Pydantic's errors as a problem.

    Args:
        detail: The error.
        key: The override key of what is wrong, or missing.
        owner: What the key is one of.
    """
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    name = _name(detail["loc"], key)
    hint = context.get("hint", "")
    hint = hint() if isinstance(hint, LazyHint) else hint
    if kind == "missing":
        message = f"{owner.name} needs the {owner.noun} `{name}`"
        hint = f"add `{name}: ...`\n{_meaning(owner, detail['loc'])}".rstrip()
        return Problem(owner.missing, parent(key) or key, message, hint, part="key")
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        fields = owner.model.model_fields if owner.model else ()
        hint = owner.suggest(name) if owner.suggest else did_you_mean(name, fields)
        return Problem(owner.unknown, key, f"{owner.name} has no {owner.noun} `{name}`", hint, part="key")
    if kind == "value_error" or kind not in _KNOWN:
        message, code = detail["msg"].removeprefix("Value error, "), kind if _CODE.fullmatch(kind) else owner.wrong
        if message.startswith("must "):
            message, hint = f"`{name}` {message}", hint or _meaning(owner, detail["loc"])
        return Problem(code, key, message, hint, part=context.get("part", "value"))
    choices = re.findall(r"'([^']*)'", context["expected"]) if kind == "literal_error" else ()
    written = as_whole(value) if kind == "int_type" else ""
    hint = nearest(value, choices) or written or _meaning(owner, detail["loc"])
    return Problem(owner.wrong, key, f"`{name}` must be {expected(detail)}, but is {quoted(value)}", hint)


def as_whole(value: object) -> str:
    """The hint for a whole number that is written as a float, as `1e6` is; empty for anything else.

    >>> as_whole(1e6), as_whole(1.5), as_whole(1e300)
    ('write `1000000`', '', '')
    """
    if isinstance(value, float) and abs(value) < 2**53 and value.is_integer():
        return f"write `{int(value)}`"
    return ""


def _name(location: Location, key: str) -> str:
    """The name of a field; of an item of a list, that of the list with its number."""
    if location and isinstance(location[-1], int):
        return f"{_name(location[:-1], parent(key))}[{location[-1]}]"
    return str(location[-1]) if location else last(key)


def expected(detail: ErrorDetails) -> str:
    """What must be in place of a value, of an error of Pydantic's own."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _TYPES:
        return in_words(_TYPES[kind])
    if kind in _BOUNDS:
        phrase, bound = _BOUNDS[kind]
        return f"{phrase} {context[bound]:g}"
    return detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")


def _meaning(owner: Owner, location: Location) -> str:
    """What a field is, in the words of its declaration."""
    text = field_docs(owner.model).get(str(location[-1]), "") if owner.model and location else ""
    words = " ".join(text.split()).removesuffix(".")
    return f"`{location[-1]}`: {words}" if words else ""


def wrong(code: str, message: str, hint: str | LazyHint = "", *, part: Part = "value") -> PydanticCustomError:
    """The error that a validator raises: it becomes a problem of this code.

    Args:
        code: Of the problem, see `modelforge.core.codes`.
        message: What is wrong; where it begins with "must", the name of the field goes before it.
        hint: The way out.
        part: Whether the key or its value is to blame.
    """
    # The message goes in as data: as a template, its braces would be read.
    context = {"message": message, "hint": hint, "part": part}
    return PydanticCustomError(code, "{message}", context)  # pyright: ignore[reportArgumentType]  # codes are not literals


def too_large(most: int, sizes: Sequence[int]) -> PydanticCustomError:
    """The error of sizes of which one is more than it may be."""
    return wrong("MF060", f"must be at most {most:,}, but is {max(sizes):,}")


def all_wrong(errors: Iterable[tuple[Location, PydanticCustomError]]) -> ValidationError:
    """Several errors as one, each at its place below the value that is validated."""
    details = [InitErrorDetails(type=error, loc=location, input=None) for location, error in errors]
    return ValidationError.from_exception_data("config", details)


def _in_one_sentence(value: Any, handler: Callable[[Any], Any]) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        details = error.errors(include_url=False)
    # Pydantic puts the name of an alternative between the key and what is below it.
    if below := [relocated(detail, detail["loc"][1:]) for detail in details if len(detail["loc"]) > 1]:
        raise ValidationError.from_exception_data("config", below)
    raise ValueError(f"must be {' or '.join(dict.fromkeys(map(expected, details)))}, but is {quoted(value)}")


Alternatives = WrapValidator(_in_one_sentence)
"""In the annotation of a union: one problem about a value that is none of it, where Pydantic has one for each type."""


def relocated(detail: ErrorDetails, location: Location) -> InitErrorDetails:
    """An error at another place."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind not in _KNOWN:
        own = PydanticCustomError(kind, "{message}", {"message": detail["msg"], **context})  # pyright: ignore[reportArgumentType]  # as above
        return InitErrorDetails(type=own, loc=location, input=detail["input"])
    return InitErrorDetails(type=kind, loc=location, input=detail["input"], ctx=context)
