"""The registry of initializers: from a scheme's name to its class. One decorator or one entry point adds a scheme."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, TypeVar

from modelforge.core.complaints import Owner
from modelforge.core.plugins import check_declaration, own_module
from modelforge.core.registry import Registry
from modelforge.core.suggestions import did_you_mean, nearest
from modelforge.inits.base import Initializer

RESERVED = frozenset({"scheme", "bias", "recurrent", "embedding", "scale", "types", "params"})
"""Keys that mean something else in an init block, so no scheme may have a field of that name."""

AnyInitializer = TypeVar("AnyInitializer", bound=type[Initializer])

SCHEMES = Registry[type[Initializer]](
    "a scheme", "modelforge.initializers", package="modelforge.inits.schemes", code="MF020"
)
"""Every initializer by the name of its scheme."""
get = SCHEMES.get
aliases = SCHEMES.aliases
unregister_initializer = SCHEMES.remove

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")


def register_initializer(name: str, aliases: tuple[str, ...] = ()) -> Callable[[AnyInitializer], AnyInitializer]:
    """Makes a class known as `scheme: name` (and by its aliases).

    The class is its own declaration: its fields are its config, its docstring (see `describe`) its documentation.
    Defining a class again under its old name, as in a notebook, replaces it.

    >>> import torch
    >>> from modelforge.inits import Matrixwise, Matrix
    >>> @register_initializer("checkerboard")
    ... class Checkerboard(Matrixwise):
    ...     '''Plus and minus one in turn.'''
    ...     def fill(self, out: torch.Tensor, matrix: Matrix, generator: torch.Generator) -> None:
    ...         out.view(-1)[0::2], out.view(-1)[1::2] = 1.0, -1.0
    >>> get("checkerboard")().scheme
    'checkerboard'
    >>> unregister_initializer("checkerboard")

    Raises:
        TypeError: the name is not a text, or the class is not a finished initializer, has no docstring, or has a
            field with a reserved name.
        ValueError: another class has the name or an alias, or it cannot be a name.
    """

    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
        raise TypeError(f'write `@register_initializer("name")`: a scheme needs a name, but gets {name!r}')
    for given in (name, *((aliases,) if isinstance(aliases, str) else aliases)):
        if not _NAME.fullmatch(given):
            raise ValueError(f"`{given}` cannot name a scheme: use letters, digits, underscores and dots")

    def register(cls: AnyInitializer) -> AnyInitializer:
        check_declaration(cls, Initializer, "Elementwise or Matrixwise")
        if clash := RESERVED & cls.model_fields.keys():
            reason = f"has a field `{min(clash)}`, which is a key of every init block: give it another name"
            raise TypeError(f"{cls.__qualname__} {reason}")
        if SCHEMES.name_of(cls) not in (None, name):
            raise ValueError(f"{cls.__qualname__} is `{cls.scheme}` already: give it more names as `aliases`")
        SCHEMES.add(name, cls, aliases)
        cls.scheme = name
        return cls

    return register


def create(block: Mapping[str, Any]) -> Initializer:
    """The initializer that a complete init block means, as plain data: a `scheme` and its fields.

    >>> create({"scheme": "normal", "std": 0.02})
    NormalScheme(mean=0.0, std=0.02)

    Raises:
        KeyError: there is no such scheme.
        ValidationError: the scheme refuses the fields.
    """
    return get(block["scheme"]).model_validate({name: value for name, value in block.items() if name != "scheme"})


def names() -> tuple[str, ...]:
    """The names of all schemes, sorted, without aliases."""
    return tuple(sorted(SCHEMES.names()))


def field_names() -> frozenset[str]:
    """Every field of every scheme."""
    return frozenset(field for _, cls in SCHEMES.entries() for field in cls.model_fields)


def explain_absence(name: object) -> str:
    """Which scheme was meant, or how there can be one of that name."""
    known = (*names(), *aliases())
    own = "`modelforge list inits` has all; one of your own is registered in code first: `@mf.register_initializer`"
    return nearest(name, known) or own + own_module()


_OF_TORCH = {"nonlinearity": "gain", "a": "low", "b": "high", "val": "value"}
"""Arguments of `torch.nn.init` → what schemes call them that take the name of torch's function, or nearly."""


def explain_absent_field(scheme: str, name: str, others: Collection[str] = ()) -> str:
    """What a scheme has in place of a field that it lacks; `others` may stand in the same block."""
    fields = get(scheme).model_fields
    known = {*fields, *others}
    if not fields:
        return nearest(name, known) or f"`{scheme}` has no fields: give a `scheme` here"
    if (here := _OF_TORCH.get(name)) in fields:
        return f"here it is called `{here}`"
    if name in field_names():
        return f"it is a field of other schemes; `{scheme}` has " + ", ".join(f"`{field}`" for field in sorted(fields))
    return did_you_mean(name, known)


def owner(scheme: str, source: str = "", others: Collection[str] = ()) -> Owner:
    """A scheme as what its fields belong to, for problems with them.

    Args:
        scheme: Its name.
        source: The override key of the block that chooses it, where that is another one.
        others: Keys that may stand in the same block.
    """
    name = f"scheme `{scheme}` (from {source})" if source else f"scheme `{scheme}`"
    suggest = partial(explain_absent_field, scheme, others=others)
    return Owner(name, "field", get(scheme), missing="MF090", unknown="MF021", wrong="MF022", suggest=suggest)
