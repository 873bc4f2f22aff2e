"""Overrides from the command line: parsed, checked, and as assignments to keys."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from modelforge.config.engines import extra_hint
from modelforge.config.in_place import as_written
from modelforge.config.references import KeyPath, Trail, follow, keys_named, split
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.limits import MAX_FILE_DEPTH, fault
from modelforge.core.suggestions import did_you_mean


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an override did to one key: `text` is the override as it was given."""

    path: KeyPath
    value: Any
    text: str
    deletes: bool = False

    def leaves(self) -> Iterator[KeyPath]:
        """The paths of the values that it gives; a mapping is merged: what a file wrote into it is the file's."""
        if not self.deletes:
            yield from _leaves(self.path, self.value)


FAMILIAR = MappingProxyType(
    {
        "epochs": "max_epochs",
        "learning_rate": "lr",
        "max_epoch": "max_epochs",
        "max_iters": "max_steps",
        "n_epochs": "max_epochs",
        "num_epochs": "max_epochs",
        "random_seed": "seed",
        "random_state": "seed",
        "train_batch_size": "batch_size",
    }
)
"""What other tools call settings → what they are called here."""
SLIP = 0.85
"""How much of two names is equal where one is the other with a slip of a letter or two."""


def parse(overrides: Sequence[str], *, sweeps: bool = False) -> tuple[Override, ...]:
    """The overrides, parsed by Hydra.

    Args:
        overrides: as on the command line.
        sweeps: whether one may stand for several values.

    Raises:
        ForgeError: some of them are malformed, or stand for several values.
    """
    parsed: list[Override] = []
    problems: list[Problem] = []
    for text in overrides:
        if found := fault(text) or _too_deep(text):
            problems.append(Problem(found[0], text.partition("=")[0], *found[1:], Place(override=text)))
            continue
        try:
            override = _parse(text)
        except (HydraException, ValueError, RecursionError):
            problems.append(_malformed(text))
            continue
        if not override.key_or_group:
            problems.append(_malformed(text))
        elif override.is_sweep_override() and not sweeps:
            problems.append(_sweep(override, text))
        parsed.append(override)
    if problems:
        raise ForgeError(problems)
    return tuple(parsed)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Override:
    return OverridesParser.create().parse_override(text)


def _too_deep(text: str) -> tuple[str, str, str] | None:
    """Code, message and hint of an override that is nested more deeply than a file may be."""
    depth = most = 0
    for letter in text:
        depth += (letter in "[{(") - (letter in "]})")
        most = max(most, depth)
    if most <= MAX_FILE_DEPTH:
        return None
    return "MF060", f"an override is at most {MAX_FILE_DEPTH} levels deep, and this has {most:,}", ""


def _leaves(path: KeyPath, value: Any) -> Iterator[KeyPath]:
    if not isinstance(value, dict):
        yield path
        return
    for name, item in value.items():
        yield from _leaves((*path, str(name)), item)


def sets_value(override: Override, group_exists: Callable[[str], bool]) -> bool:
    """Whether an override sets a value; the others choose an option of a group."""
    return isinstance(override.value(), dict) or not group_exists(override.key_or_group)


def assignment(override: Override) -> Assignment:
    """What a value override does."""
    text = as_written(override.input_line or "")
    return Assignment(split(override.key_or_group), override.value(), text, override.is_delete())


def unknown_option(override: Override, option: str, known: Sequence[str], folder: str) -> Problem:
    """The problem of `model=lstmm`; `folder` is where the options lie."""
    group = override.key_or_group
    hint = extra_hint(group, option) or did_you_mean(option, known)
    hint = hint or f"{folder} holds {len(known)} others"
    if group == "init" and option != "null" and not get_close_matches(option, known, 1, SLIP):
        hint += f"{'' if hint.endswith('?') else '.'} For a scheme without a file: `'init={{scheme: {option}}}'`"
    return Problem("MF001", group, f"`{group}` has no option `{option}`", hint, Place(override=override.input_line))


def cannot_apply(
    override: Override,
    config: Mapping[str, Any],
    groups: Sequence[str],
    reason: str,
    with_key: Callable[[str, str], Sequence[str]],
) -> Problem:
    """Why Hydra did not apply a value override to `config`, which is not resolved yet.

    Args:
        override: the one that failed.
        config: what had been composed before it.
        groups: the config groups there are.
        reason: what Hydra said, for what is not foreseen here.
        with_key: gives the options of a group whose file holds a key.
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
    if override.is_delete() and not trail.rest and trail.value is None:
        hint = "leave this override out: null says that there is none"
        return Problem("MF001", key, f"`{key}` is null, and there is nothing to delete", hint, place)
    if not trail.rest and isinstance(override.value(), dict) and isinstance(trail.value, Mapping):
        return _unmerged(override, trail.value, reason)
    if not trail.rest:
        return Problem("MF001", key, reason, place=place)
    if isinstance(trail.value, list):
        message = f"{where} is a list of {len(trail.value)} and has no item `{trail.rest[0]}`"
        return Problem("MF001", key, message, f"a list is given as a whole: {where[:-1]}=[...]`", place)
    if not isinstance(trail.value, Mapping):
        message = f"{where} is a value, `{trail.value}`, and has no keys"
        return Problem("MF001", key, message, _whole(trail), place)
    name = trail.rest[0]
    message = f"{where} has no key `{name}`"
    if key.partition(".")[0] in groups and not trail.end and len(trail.rest) > 1:
        hint = f"no option of the group `{name}` is chosen: `{name}=...` does that; a new key needs a `+`: `+{text}`"
        return Problem("MF001", key, message, hint, place)
    group = ".".join(trail.end)
    if group in groups and (options := with_key(group, name)):
        shown, verb = ", ".join(f"`{group}={option}`" for option in options), "has" if len(options) == 1 else "have"
        known = ", ".join(f"`{one}`" for one in trail.value)
        return Problem("MF001", key, message, f"it has {known}; {shown} {verb} `{name}`", place)
    return Problem("MF001", key, message, _key_hint(override, trail, config, groups), place)


def _whole(trail: Trail) -> str:
    """How to give settings to what is only a name so far, such as a task or a layer."""
    if not (isinstance(trail.value, str) and trail.value.replace(".", "_").isidentifier()):
        return ""
    kind = "scheme" if "init" in trail.end else "type"
    return f"to give it settings: `'{'.'.join(trail.end)}={{{kind}: {trail.value}, {trail.rest[0]}: ...}}'`"


def _key_hint(override: Override, trail: Trail, config: Mapping[str, Any], groups: Sequence[str]) -> str:
    """What was meant by a key that is not there, and how a new one is added."""
    name, text = trail.rest[0], override.input_line or ""
    own = {name: value for name, value in config.items() if name != "hydra"}
    known = [key for key in trail.value if key != "hydra"] + [*(groups if not trail.end else ())]
    hint = did_you_mean(name, known)
    if not hint.endswith("?"):
        last = trail.rest[-1]
        found = [key for word in (last, FAMILIAR.get(last)) if word for key in keys_named(word, own)]
        if 0 < len(found) <= 3:
            return f"did you mean {' or '.join(f'`{key}`' for key in found)}?"
    if override.is_delete():
        return hint
    dot = "" if hint.endswith("?") else "."
    return f"{hint}{dot} A new key needs a `+`: `+{text}`" if hint else f"a new key needs a `+`: `+{text}`"


def _unmerged(override: Override, old: Mapping[str, Any], reason: str) -> Problem:
    """Why a mapping, which is merged into the one that is there, does not fit into it."""
    key, text, value = override.key_or_group, override.input_line or "", override.value()
    assert isinstance(value, dict)
    unknown = [str(name) for name in value if str(name) not in old]
    if not unknown:
        return Problem("MF001", key, reason, place=Place(override=text))
    names = ", ".join(f"`{name}`" for name in unknown)
    message = f"a mapping is merged into `{key}`, which has no key {names}"
    hint = f"choose the option of `{key}` that has it and set the value, `{key}=... {key}.{unknown[0]}=...`"
    hint += f"; or add new keys: `++{text.lstrip('+')}`"
    return Problem("MF001", key, message, hint, Place(override=text))


def _malformed(text: str) -> Problem:
    key = text.partition("=")[0]
    if not key or ("=" not in text and not text.startswith("~")):
        return Problem("MF001", key, f"`{text}` is not an override", _instead(text), Place(override=text))
    hint = "quote a value that holds spaces, letters with accents, or any of `,:=[]{}()`: `'key=\"a, b\"'`"
    message = f"the override `{text}` cannot be read"
    return Problem("MF001", key, message, _in_quotes(text) or hint, Place(override=text))


def _in_quotes(text: str) -> str:
    """The hint to write one text in quotes; none where several values, or a list or mapping, may be meant."""
    key, _, value = text.partition("=")
    if set(value) & set(",[]{}'\"\\$"):
        return ""
    quoted = f'{key}="{value}"'
    try:
        _parse(quoted)
    except (HydraException, ValueError):
        return ""
    return f"quote the value: `{shlex.quote(quoted)}`"


def _instead(text: str) -> str:
    """The hint for what is not an override; the folder of a run is one of configs, too."""
    try:
        folder = bool(text) and Path(text).is_dir()
    except (OSError, ValueError):
        folder = False
    if not folder:
        return "write `key=value`"
    ways = f"`modelforge show --conf {text}` reads its config.yaml, `python train.py --from {text}` repeats a run"
    return f'it is a folder: {ways}, and `mf.load_run("{text}")` gives its model'


def _sweep(override: Override, text: str) -> Problem:
    key, _, value = text.partition("=")
    hint = "several values need a multirun, `-m`"
    if "(" not in value:
        hint += f"; a list is written `{key}=[{value}]`"
    message = f"`{key}` is given several values, and one config takes one"
    return Problem("MF001", override.key_or_group, message, hint, Place(override=text))


def set_again(key: str, swept: Mapping[str, str], place: Place) -> Iterator[Problem]:
    """The problem of a key whose several values, under another spelling, a later override leaves without effect.

    Args:
        key: The later one.
        swept: The earlier keys with several values, each with its values as they were written.
        place: Of the later one.
    """
    name = key.lstrip("+~")
    for other, text in swept.items():
        if other != key and other.lstrip("+~") == name:
            message = f"`{name}` is set again, so that `{text}` has no effect"
            yield Problem(
                "MF082", name, message, "leave one out, or write both keys alike: the later one counts", place
            )
