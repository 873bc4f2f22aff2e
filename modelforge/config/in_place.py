"""in_place: overrides, such as `init={scheme: mup, width: 64}` → what makes Hydra put a block with a scheme in
the place of the `init` group, into which it would merge a mapping."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

_MAPPING = re.compile(r"init=\s*\{")


def in_place(overrides: Sequence[str]) -> list[str]:
    """The same overrides, with `init={scheme: ...}` as Hydra must be told: the group goes, and the block comes.

    A mapping without a scheme refines the chosen block, as it does in a file, and stays.

    >>> in_place(["init={scheme: normal, std: 0.02}", "init={gain: 2}", "model=lstm"])
    ['~init', '+init={scheme: normal, std: 0.02}', 'init={gain: 2}', 'model=lstm']
    """
    found: list[str] = []
    for text in overrides:
        found += ["~init", f"+{text}"] if _is_block(text) else [text]
    return found


def _is_block(text: str) -> bool:
    if not _MAPPING.match(text):
        return False
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException:
        return False  # said where overrides are parsed
    value = None if override.is_sweep_override() else override.value()
    return isinstance(value, dict) and "scheme" in {str(key) for key in value}
