"""stray_sections: a composed config → warnings about files whose sections lie below their own group, unread."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from modelforge.config.compose import Config
from modelforge.config.nodes import items
from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.language.parse import SECTIONS

HEADER = "# @package _global_"
NEVER_TEXT = frozenset({"data", "trainer", "callbacks", "logger", "metrics"})
"""Sections that are no text: a text of such a name is something else, such as a folder in `paths/default.yaml`."""


def stray_sections(config: Config) -> Iterator[Problem]:
    """Files such as experiments that hold whole sections and do not say where these belong."""
    read = config.origins.read
    for one in config.origins.contributions:
        root = one.document.root
        head = one.package.partition(".")[0]
        if not one.group or head in {*SECTIONS, *read, "hydra"} or not isinstance(root, yaml.MappingNode):
            continue
        keys = {name: key for name, (key, value) in items(root).items() if _is_section(name, value)}
        if keys and one.package == one.group.replace("/", "."):
            named = listed(keys, 3, quote="`")
            message = f"`{one.document.file}` sets {named} below `{one.package}`, where nothing reads it"
            hint = f"begin the file with `{HEADER}`"
            place = one.document.place(next(iter(keys.values())))
            yield Problem("MW220", f"{one.package}.{next(iter(keys))}", message, hint, place, "key", "warning")


def _is_section(name: str, value: yaml.Node) -> bool:
    return name in SECTIONS and not (name in NEVER_TEXT and isinstance(value, yaml.ScalarNode))
