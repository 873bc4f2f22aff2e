"""Docstrings of layer classes as plain text: what a class does in one sentence, and what its arguments mean.

torch writes them in reStructuredText with Google-style sections; classes of others may write less, and get less.
"""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Keyword Arguments):\s*$", re.MULTILINE)
_ARGUMENT = re.compile(r"^(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_ROLE = re.compile(r":\w+:`([^`<]*?)(?:\s*<[^>]*>)?`")
_LATEX = re.compile(r"\\(?:text|mathrm|textbf)\{([^}]*)\}|\\(?=[a-z])")
_DEFAULT = re.compile(r"\s*\(?Default: .*$")


def summary(cls: type) -> str:
    """The first sentence of a class's docstring; empty where it has none of its own.

    Example:
        >>> from torch import nn
        >>> summary(nn.Linear)
        'Applies an affine linear transformation to the incoming data: y = xA^T + b.'
    """
    # A signature in front is torch's way to document overloads.
    paragraphs = [p for p in re.split(r"\n\s*\n", _doc(cls)) if p.strip() and not p.startswith("__init__(")]
    text = _plain(paragraphs[0]) if paragraphs else ""
    return re.split(r"(?<=[^.][^.\s]\.)\s+(?=[A-Z`])", text)[0]


def argument_docs(cls: type) -> dict[str, str]:
    """What a class's docstring says about each argument of its constructor, apart from its default.

    Example:
        >>> from torch import nn
        >>> argument_docs(nn.Linear)["in_features"]
        'size of each input sample'
    """
    found: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        found |= _own_argument_docs(ancestor)
    return found


def _own_argument_docs(cls: type) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for section in _SECTION.split(_doc(cls))[2::2]:
        name = ""
        lines = section.strip("\n").split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        for line in lines:
            depth = len(line) - len(line.lstrip())
            if line.strip() and depth < indent:
                break
            if depth == indent and (argument := _ARGUMENT.match(line.strip())):
                name = argument[1]
                found[name] = [argument[2]]
            elif name:
                found[name].append(line.strip())
    return {name: _DEFAULT.sub("", _plain(" ".join(lines))) for name, lines in found.items()}


def _doc(cls: type) -> str:
    return inspect.cleandoc(cls.__dict__.get("__doc__") or "")


def _plain(text: str) -> str:
    text = _ROLE.sub(r"\1", text.replace("``", "`"))
    text = _LATEX.sub(r"\1", text)
    return " ".join(text.split())
