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


def stray_sections(config: Config) -> Iterator[Problem]:
    """Files such as experiments that hold whole sections and do not say where these belong."""
    read = config.origins.read
    for one in config.origins.contributions:
        root = one.document.root
        head = one.package.partition(".")[0]
        if not one.group or head in {*SECTIONS, *read, "hydra"} or not isinstance(root, yaml.MappingNode):
            continue
        keys = {name: node for name, (node, _) in items(root).items() if name in SECTIONS}
        if keys and one.package == one.group.replace("/", "."):
            named = listed(keys, 3, quote="`")
            message = f"`{one.document.file}` sets {named} below `{one.package}`, where nothing reads it"
            hint = f"begin the file with `{HEADER}`"
            place = one.document.place(next(iter(keys.values())))
            yield Problem("MW220", f"{one.package}.{next(iter(keys))}", message, hint, place, "key", "warning")
