"""The version of the language that a config is written for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelforge.core.errors import Problem
from modelforge.core.quoting import quoted

KEY = "modelforge"
"""The key of a primary config that says which version its configs are written for."""
VERSION = 1
"""The version that this modelforge reads."""


def check_version(config: Mapping[str, Any]) -> Iterator[Problem]:
    """The problem of a config that is written for another version; without the key it is read as the present one.

    Example:
        >>> [problem.code for problem in check_version({"modelforge": 99})], [*check_version({"modelforge": 1})]
        (['MF161'], [])
    """
    if KEY not in config:
        return
    version = config[KEY]
    if type(version) is not int or version < 0:
        message = f"`{KEY}` must be the version of the language, a whole number, but is {quoted(version)}"
        yield Problem("MF161", KEY, message, f"write `{KEY}: {VERSION}`")
    elif version > VERSION:
        message = f"the configs are written for version {version} of the language, and this modelforge reads {VERSION}"
        yield Problem("MF161", KEY, message, "pip install --upgrade modelforge")
    elif version < VERSION:
        message = f"the configs are written for version {version} of the language, and this modelforge reads {VERSION}"
        yield Problem("MF161", KEY, message, "run `modelforge upgrade`, and read what it changes")
