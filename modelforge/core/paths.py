"""Dotted paths: of modules, of parameters, and override keys. The empty path is the root, and holds all others."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def join(*names: object) -> str:
    """A path of its parts; the root adds nothing.

    >>> join("", "blocks", 0, "norm.weight")
    'blocks.0.norm.weight'
    """
    return ".".join(filter(None, map(str, names)))


def parent(path: str) -> str:
    """
    >>> parent("blocks.0.norm"), parent("norm")
    ('blocks.0', '')
    """
    return path.rpartition(".")[0]


def last(path: str) -> str:
    """
    >>> last("blocks.0.norm"), last("norm")
    ('norm', 'norm')
    """
    return path.rpartition(".")[2]


def is_below(path: str, prefix: str) -> bool:
    """Whether a path is `prefix`, or leads on from it.

    >>> is_below("a.b", "a"), is_below("a", "a"), is_below("ab", "a"), is_below("ab", "")
    (True, True, False, True)
    """
    return not prefix or path == prefix or path.startswith(f"{prefix}.")


def around(path: str) -> list[str]:
    """The paths of what holds something, outermost first.

    >>> around("blocks.0.norm")
    ['', 'blocks', 'blocks.0']
    """
    return ["", *(path[:index] for index, letter in enumerate(path) if letter == ".")]


def relative(path: str, prefix: str) -> str:
    """A path seen from one that it is below.

    >>> relative("blocks.0.norm", "blocks"), relative("norm", "")
    ('0.norm', 'norm')
    """
    return path.removeprefix(f"{prefix}.") if prefix else path


def glob(path: str) -> str:
    """A path with `*` for the numbers of copies: for all but a first one, which is the name of a layer.

    Layers may have numbers as names elsewhere too: copies have the same override key besides.

    >>> glob("blocks.11.norm.weight"), glob("blocks.11"), glob("0.weight")
    ('blocks.*.norm.weight', 'blocks.*', '0.weight')
    """
    head, *rest = path.split(".")
    return ".".join([head, *("*" if part.isdigit() else part for part in rest)])


def matches(path: str, globs: Iterable[str]) -> bool:
    """Whether one of the globs covers a path; `*` stands for dots too.

    >>> matches("blocks.0.norm.weight", ["*.bias", "blocks.*"])
    True
    """
    return any(fnmatchcase(path, glob) for glob in globs)
