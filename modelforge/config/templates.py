"""Templates: texts in a config that stand for an argument, `${arg:width}`, or for arithmetic, `${calc:"4 * width"}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modelforge.config.arithmetic import calculate, names_in
from modelforge.core.errors import Refusal
from modelforge.core.limits import MAX_TEXT
from modelforge.core.suggestions import did_you_mean

_TEMPLATE = re.compile(r"""\$\{\s*(arg|calc)\s*:([^"'{}]*|\s*"[^"]*"\s*|\s*'[^']*'\s*)\}""")

_BEGINNING = re.compile(r"\$\{\s*(?:arg|calc)\s*:")


def is_template(value: Any) -> bool:
    """Whether a value is, or holds, a template."""
    return isinstance(value, str) and _TEMPLATE.search(value) is not None


def is_broken(value: Any) -> bool:
    """Whether a text begins a template that it does not end.

    >>> is_broken("${arg:width"), is_broken("${arg:width}")
    (True, False)
    """
    return isinstance(value, str) and len(_BEGINNING.findall(value)) > len(_TEMPLATE.findall(value))


def names_of(value: Any) -> frozenset[str]:
    """The arguments that templates anywhere in plain data use.

    >>> sorted(names_of({"size": "${arg:k}", "shape": ['${calc:"2 * width"}', 3]}))
    ['k', 'width']
    """
    if isinstance(value, str):
        return frozenset().union(*(names_in(inner) if kind == "calc" else {inner} for kind, inner in _parts(value)))
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return frozenset().union(*map(names_of, inside))


def fill(text: str, arguments: Mapping[str, Any]) -> Any:
    """A text with its templates filled in; one that is nothing but a template becomes its value, of any type.

    Raises:
        Refusal: there is no such argument, or arithmetic that fails.

    >>> fill("${arg:width}", {"width": 64}), fill("conv${arg:k}", {"k": 3}), fill('${calc:"width // 2"}', {"width": 64})
    (64, 'conv3', 32)
    """
    whole = _TEMPLATE.fullmatch(text)
    if whole is not None:
        return _value(whole[1], _unquoted(whole[2]), arguments)
    filled = _TEMPLATE.sub(lambda match: str(_value(match[1], _unquoted(match[2]), arguments)), text)
    if len(filled) > MAX_TEXT:
        raise Refusal(f"what comes out has more than {MAX_TEXT:,} characters")
    return filled


def _parts(text: str) -> list[tuple[str, str]]:
    return [(kind, _unquoted(inner)) for kind, inner in _TEMPLATE.findall(text)]


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if text[:1] in ("'", '"') else text


def _value(kind: str, text: str, arguments: Mapping[str, Any]) -> Any:
    if kind == "calc":
        return calculate(text, arguments)
    if text not in arguments:
        hint = (
            did_you_mean(text, arguments)
            or "`${arg:...}` refers to an argument of the block around it, or of the model (`args`)"
        )
        raise Refusal(f"there is no argument `{text}` here", hint)
    return arguments[text]
