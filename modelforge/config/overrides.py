"""Overrides from the command line: parsed, checked, and as assignments to keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from modelforge.bounds import fault
from modelforge.config.document import MAX_DEPTH
from modelforge.config.references import KeyPath, follow, split
from modelforge.errors import ForgeError, Place, Problem, did_you_mean


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an override did to one key: `text` is the override as it was given."""

    path: KeyPath
    value: Any
    text: str
    deletes: bool = False


def parse(overrides: Sequence[str]) -> tuple[Override, ...]:
    """The overrides, parsed by Hydra.

    Raises:
        ForgeError: some of them are malformed, or stand for several values.
    """
    parser = OverridesParser.create()
    parsed: list[Override] = []
    problems: list[Problem] = []
    for text in overrides:
        if found := fault(text) or _too_deep(text):
            problems.append(Problem(found[0], text.partition("=")[0], *found[1:], Place(override=text)))
            continue
        try:
            override = parser.parse_override(text)
        except (HydraException, ValueError, RecursionError):
            problems.append(_malformed(text))
            continue
        if not override.key_or_group:
            problems.append(_malformed(text))
        elif override.is_sweep_override():
            problems.append(_sweep(override, text))
        parsed.append(override)
    if problems:
        raise ForgeError(problems)
    return tuple(parsed)


def _too_deep(text: str) -> tuple[str, str, str] | None:
    """Code, message and hint of an override that is nested more deeply than a file may be."""
    depth = most = 0
    for letter in text:
        depth += (letter in "[{(") - (letter in "]})")
        most = max(most, depth)
    if most <= MAX_DEPTH:
        return None
    return "MF060", f"an override is at most {MAX_DEPTH} levels deep, and this has {most:,}", ""


def sets_value(override: Override, group_exists: Callable[[str], bool]) -> bool:
    """Whether an override speaks of a value; the others choose an option of a group."""
    return isinstance(override.value(), dict) or not group_exists(override.key_or_group)


def assignment(override: Override) -> Assignment:
    """What a value override does."""
    text = override.input_line or ""
    return Assignment(split(override.key_or_group), override.value(), text, override.is_delete())


def unknown_option(override: Override, option: str, known: Sequence[str]) -> Problem:
    """The problem of `model=lstmm`."""
    group = override.key_or_group
    hint = f"to leave it out: `~{group}`" if option == "null" else did_you_mean(option, known)
    return Problem("MF001", group, f"`{group}` has no option `{option}`", hint, Place(override=override.input_line))


def cannot_apply(override: Override, config: Mapping[str, Any], groups: Sequence[str], reason: str) -> Problem:
    """Why Hydra did not apply a value override to `config`, which is not resolved yet.

    Args:
        override: the one that failed.
        config: what had been composed before it.
        groups: the config groups there are.
        reason: what Hydra said, for what is not foreseen here.
    """
    key, text = override.key_or_group, override.input_line or ""
    trail = follow(config, split(key), last=False)
    where = f"`{'.'.join(trail.end)}`" if trail.end else "the config"
    place = Place(override=text)
    if override.package is not None:
        hint = did_you_mean(key, groups)
        return Problem("MF001", key, f"there is no config group `{key}`", hint, place)
    if override.is_add() and not trail.rest:
        hint = f"to change it, drop the `+`: `{text[1:]}`"
        return Problem("MF001", key, f"`{key}` is already there", hint, place)
    if not trail.rest:
        return Problem("MF001", key, reason, place=place)
    if isinstance(trail.value, list):
        message = f"{where} is a list of {len(trail.value)} and has no item `{trail.rest[0]}`"
        return Problem("MF001", key, message, f"a list is given as a whole: {where[:-1]}=[...]`", place)
    if not isinstance(trail.value, Mapping):
        return Problem("MF001", key, f"{where} is a value, `{trail.value}`, and has no keys", place=place)
    known = [name for name in trail.value if name != "hydra"] + [*(groups if not trail.end else ())]
    hint = did_you_mean(trail.rest[0], known)
    if not override.is_delete():
        dot = "" if hint.endswith("?") else "."
        hint = f"{hint}{dot} A new key needs a `+`: `+{text}`" if hint else f"a new key needs a `+`: `+{text}`"
    return Problem("MF001", key, f"{where} has no key `{trail.rest[0]}`", hint, place)


def _malformed(text: str) -> Problem:
    key = text.partition("=")[0]
    if not key or ("=" not in text and not text.startswith("~")):
        return Problem("MF001", key, f"`{text}` is not an override", "write `key=value`", Place(override=text))
    hint = "quote a value that holds spaces or any of `,:=[]{}()`: `'key=\"a, b\"'`"
    return Problem("MF001", key, f"the override `{text}` cannot be read", hint, Place(override=text))


def _sweep(override: Override, text: str) -> Problem:
    key, _, value = text.partition("=")
    hint = "several values need a multirun, `-m`"
    if "(" not in value:
        hint += f"; a list is written `{key}=[{value}]`"
    message = f"`{key}` is given several values, and one config takes one"
    return Problem("MF001", override.key_or_group, message, hint, Place(override=text))
