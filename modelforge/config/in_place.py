"""in_place: overrides as a person writes them → as Hydra must be given them.

`init={scheme: mup, width: 64}` puts a block in the place of the `init` group, into which Hydra would merge a mapping;
`weights.path=best.ckpt` is enough, whether an option of the group `weights` is chosen or none; `sweep.where` takes a
condition without further quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

_OPEN = ("weights.", "sweep.")
"""Sections whose keys need not be there to be set."""
_CONDITION = "sweep.where="
_MAPPING = re.compile(r"init=\s*\{")


def in_place(overrides: Sequence[str]) -> list[str]:
    """The same overrides; a block with a scheme replaces the group, and keys of `weights` need not be there.

    A mapping without a scheme refines the chosen block, as it does in a file, and stays. A project's own config.yaml
    need not have a `sweep` section.

    >>> in_place(["init={scheme: normal, std: 0.02}", "init={gain: 2}", "weights.path=best.ckpt"])
    ['~init', '+init={scheme: normal, std: 0.02}', 'init={gain: 2}', '++weights.path=best.ckpt']
    """
    found: list[str] = []
    for text in overrides:
        if _is_block(text):
            found += ["~init", f"+{text}"]
        elif text.startswith(_CONDITION) and text[len(_CONDITION) :][:1] not in ("'", '"', "[", ""):
            found.append(f"++{_CONDITION}{_quoted(text[len(_CONDITION) :])}")
        else:
            found.append(f"++{text}" if text.startswith(_OPEN) else text)
    return found


def _quoted(text: str) -> str:
    """A text as Hydra reads one that holds any letters; null stays null."""
    return text if text == "null" else "'" + text.replace("'", "\\'") + "'"


def as_written(text: str) -> str:
    """An override as a person writes it, from what `in_place` gives for a block, or for a key of `weights` or `sweep`.

    >>> as_written("+init={scheme: orthogonal}"), as_written("++weights.path=best.ckpt"), as_written("+init.gain=2")
    ('init={scheme: orthogonal}', 'weights.path=best.ckpt', '+init.gain=2')
    """
    if text.startswith("+") and _is_block(text[1:]):
        return text[1:]
    return text.removeprefix("++") if text.removeprefix("++").startswith(_OPEN) else text


def _is_block(text: str) -> bool:
    if not _MAPPING.match(text):
        return False
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException:
        return False  # said where overrides are parsed
    value = None if override.is_sweep_override() else override.value()
    return isinstance(value, dict) and "scheme" in {str(key) for key in value}
