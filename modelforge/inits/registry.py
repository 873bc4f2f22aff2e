"""The registry of initializers: from a scheme's name to its class. One decorator or one entry point adds a scheme."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from modelforge.core.errors import did_you_mean
from modelforge.core.plugins import check_declaration, is_redefined, load_plugins
from modelforge.inits.base import Initializer

GROUP = "modelforge.initializers"
"""The entry point group; what an entry point names is imported, and registers itself by the decorator."""

RESERVED = frozenset({"scheme", "bias", "recurrent", "embedding", "scale", "types", "params"})
"""Keys that mean something else in an init block, so no scheme may have a field of that name."""

AnyInitializer = TypeVar("AnyInitializer", bound=type[Initializer])

_schemes: dict[str, type[Initializer]] = {}
_aliases: dict[str, str] = {}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")


def register_initializer(name: str, aliases: tuple[str, ...] = ()) -> Callable[[AnyInitializer], AnyInitializer]:
    """Makes a class known as `scheme: name` (and by its aliases).

    The class is its own declaration: its fields are its config, its docstring (see `describe`) its documentation.
    Defining a class again under its old name, as in a notebook, replaces it.

    >>> import torch
    >>> from modelforge.inits import Blockwise, Block
    >>> @register_initializer("checkerboard")
    ... class Checkerboard(Blockwise):
    ...     '''Plus and minus one in turn.'''
    ...     def fill(self, out: torch.Tensor, block: Block, generator: torch.Generator) -> None:
    ...         out.view(-1)[0::2], out.view(-1)[1::2] = 1.0, -1.0
    >>> get("checkerboard")().scheme
    'checkerboard'
    >>> unregister("checkerboard")

    Raises:
        TypeError: the name is no text, or the class is no finished initializer, has no docstring, or has a field with a
            reserved name.
        ValueError: another class has the name or an alias, or it cannot be a name.
    """

    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
        raise TypeError(f'write `@register_initializer("name")`: a scheme needs a name, but gets {name!r}')
    for given in (name, *aliases):
        if not _NAME.fullmatch(given):
            raise ValueError(f"`{given}` cannot name a scheme: use letters, digits, underscores and dots")

    def register(cls: AnyInitializer) -> AnyInitializer:
        _check_class(cls)
        previous = _schemes.get(name)
        if previous is not None and is_redefined(previous, cls):
            unregister(name)
        for taken in (name, *aliases):
            if taken in _schemes or taken in _aliases:
                raise ValueError(f"an initializer `{taken}` exists already: {get(taken).__qualname__}")
        cls.scheme = name
        _schemes[name] = cls
        _aliases.update(dict.fromkeys(aliases, name))
        return cls

    return register


def unregister(name: str) -> None:
    """Forgets a scheme and its aliases; for tests and notebooks.

    Raises:
        KeyError: no scheme has this name.
    """
    del _schemes[name]
    for alias in [alias for alias, target in _aliases.items() if target == name]:
        del _aliases[alias]


def get(name: str) -> type[Initializer]:
    """The class of a scheme, by its name or an alias.

    >>> get("glorot") is get("xavier")
    True

    Raises:
        KeyError: no scheme has this name.
    """
    load_plugins(GROUP)
    return _schemes[_aliases.get(name, name)]


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
    load_plugins(GROUP)
    return tuple(sorted(_schemes))


def aliases() -> dict[str, str]:
    """From each alias to the name it stands for."""
    load_plugins(GROUP)
    return dict(sorted(_aliases.items()))


def field_names() -> frozenset[str]:
    """Every field of every scheme."""
    load_plugins(GROUP)
    return frozenset(field for cls in _schemes.values() for field in cls.model_fields)


def _check_class(cls: type[Initializer]) -> None:
    check_declaration(cls, Initializer, "Elementwise or Blockwise")
    if clash := RESERVED & cls.model_fields.keys():
        raise TypeError(f"{cls.__qualname__} has a field `{min(clash)}`, which means something else in an init block")


def explain_absent_field(scheme: str, name: str, others: Collection[str] = ()) -> str:
    """What a scheme has in place of a field that it lacks; `others` may stand in the same block."""
    fields = get(scheme).model_fields
    near = did_you_mean(name, {*fields, *others})
    if not fields:
        return near if near.endswith("?") else f"`{scheme}` has no fields: give a `scheme` here"
    if name in field_names():
        return f"it is a field of other schemes; `{scheme}` has " + ", ".join(f"`{field}`" for field in sorted(fields))
    return near
