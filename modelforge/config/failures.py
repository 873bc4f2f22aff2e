"""Why Hydra could not compose a config: its exceptions as problems with a place and a way out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from modelforge.config import overrides as ov
from modelforge.config.document import Document
from modelforge.config.engines import extra_hint
from modelforge.config.folder import groups
from modelforge.config.loader import Loader
from modelforge.config.nodes import in_defaults, items
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.suggestions import did_you_mean

FAILURES = (
    *(HydraException, OmegaConfBaseException, OSError, ValueError, AssertionError, RecursionError),
    *(AttributeError, TypeError),  # a section of Hydra's own that is empty or of another kind
)
"""How Hydra and OmegaConf say that a config is wrong; anything else is a bug of ours and passes."""


def unknown_options(loader: Loader, parsed: Sequence[Override], folder: Path) -> list[Problem]:
    """The overrides that choose an option that is not there."""
    problems: list[Problem] = []
    for override in parsed:
        value = override.value()
        if ov.sets_value(override, loader.folders.group_exists) or override.is_delete():
            continue
        if loader.leaves_out(override, loader.folders):
            continue
        for option in value if isinstance(value, list) else [value]:
            name = option if isinstance(option, str) else "null" if option is None else str(option)
            if "${" in name or name == "???":
                continue
            if not isinstance(option, str) or not loader.folders.config_exists(f"{override.key_or_group}/{option}"):
                group = override.key_or_group
                known = loader.folders.get_group_options(group)
                problems.append(ov.unknown_option(override, name, known, f"{folder / group}"))
    return problems


def explain(
    loader: Loader, config_name: str, parsed: Sequence[Override], folder: Path, failure: Exception
) -> list[Problem]:
    """What made composition fail: each override that can be blamed for it, else what Hydra said."""
    values = [
        one
        for one in parsed
        if ov.sets_value(one, loader.folders.group_exists) and one.key_or_group != "hydra.searchpath"
    ]
    good = [one for one in parsed if one not in values]
    try:
        config = loader.compose(config_name, good)
    except ForgeError as error:
        return list(error.problems)
    except FAILURES as error:
        return [_hydra_problem(loader, good, error)]
    problems: list[Problem] = []
    for override in values:
        try:
            config = loader.compose(config_name, [*good, override])
            good.append(override)
        except FAILURES as error:
            with_key = partial(_options_with, loader)
            problems.append(ov.cannot_apply(override, config, groups(folder), _said(error), with_key))
    return problems or [_hydra_problem(loader, parsed, failure)]


def _options_with(loader: Loader, group: str, key: str) -> list[str]:
    """The options of a group whose file holds this key."""
    found: list[str] = []
    for option in loader.folders.get_group_options(group):
        try:
            result = loader.folders.load_config(f"{group}/{option}")
        except (ForgeError, *FAILURES):
            continue
        if result is not None and key in result.config:
            found.append(option)
    return found


def _hydra_problem(loader: Loader, parsed: Sequence[Override], error: Exception) -> Problem:
    """Hydra's own message as a problem, with the place of the override or the defaults list that it is about."""
    said = _said(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing_config(loader, error.missing_cfg_file, error.options or ())
    if choose := re.search(r"You must specify '([^']+)'", said):
        group = choose[1]
        known = ", ".join(f"`{option}`" for option in loader.folders.get_group_options(group.partition("@")[0]))
        place = _default_place(loader, group.partition("@")[0], "???")
        return Problem("MF011", group, f"`{group}` must be chosen", f"`{group}=...`, one of {known}", place)
    if unused := re.search(r"Could not (?:override|delete) '([^'=]+)[^']*'\. (?:No match|Did you mean)", said):
        key = unused[1]
        if (problem := _below_its_group(loader, key)) is not None:
            return problem
        line = next((one.input_line for one in parsed if one.get_key_element().lstrip("~") == key), None)
        adds = line is not None and not line.startswith("~")
        message = f"the defaults list has no `{key}`"
        place = Place(override=line) if line is not None else _first_chosen(loader, key) or _last_read(loader)
        return Problem("MF001", key, message, f"to add it: `+{line}`" if adds else "", place)
    return _about(loader, said)


def _below_its_group(loader: Loader, key: str) -> Problem | None:
    """The problem of a file such as an experiment that chooses another model, and does not say that it is for all."""
    group, _, package = key.partition("@")
    for name, document in loader.shelf.items():
        own = name.rpartition("/")[0].replace("/", ".")
        if own and package == f"{own}.{group.replace('/', '.')}" and (place := _chosen_by(document, group)) is not None:
            message = f"`{document.file}` chooses a `{group}` below `{own}`, where the defaults list has none"
            return Problem("MF001", key, message, "begin the file with `# @package _global_`", place, "key")
    return None


def _about(loader: Loader, said: str) -> Problem:
    """The problem with the defaults list, or with the `hydra` section, of the config that Hydra's message names."""
    for document in loader.shelf.values():
        if (empty := _empty_hydra(document)) is not None:
            hint = "indent what belongs below it, or remove the key"
            return Problem("MF001", "hydra", "the section `hydra` is empty", hint, empty, "key")
    for name, document in loader.shelf.items():
        root = document.root
        named = f"'{name}'" in said or f"In {name}:" in said or f"in {name}:" in said
        if named and isinstance(root, yaml.MappingNode):
            about = "hydra" if "raised while composing config" in said else "defaults"
            key = items(root).get(about, (root, root))[0]
            return Problem("MF001", "", said, place=document.place(key), part="key")
    place = _last_read(loader)
    return Problem("MF001", "" if place else "config", said, place=place)


def _first_chosen(loader: Loader, key: str) -> Place | None:
    """Where a defaults list chooses an option of what is not there."""
    places = (_chosen_by(document, key.partition("@")[0]) for document in loader.shelf.values())
    return next((place for place in places if place is not None), None)


def _chosen_by(document: Document, group: str) -> Place | None:
    """Where the defaults list of a file chooses an option of a group."""
    root = document.root
    defaults = items(root).get("defaults") if isinstance(root, yaml.MappingNode) else None
    for item in defaults[1].value if defaults and isinstance(defaults[1], yaml.SequenceNode) else ():
        for name, _ in item.value if isinstance(item, yaml.MappingNode) else ():
            if isinstance(name, yaml.ScalarNode) and name.value.endswith(group):
                return document.place(name)
    return None


def _empty_hydra(document: Document) -> Place | None:
    root = document.root
    key, value = items(root).get("hydra", (None, None)) if isinstance(root, yaml.MappingNode) else (None, None)
    empty = isinstance(value, yaml.ScalarNode) and value.value in ("", "~", "null")
    return document.place(key) if key is not None and empty else None


def _last_read(loader: Loader) -> Place | None:
    """The file that was read last: what Hydra stopped at, where it names nothing."""
    return next((Place(file=document.file, line=1) for document in reversed(loader.shelf.values())), None)


def _missing_config(loader: Loader, missing: str, options: Sequence[str]) -> Problem:
    group, _, option = missing.rpartition("/")
    message = f"`{group}` has no option `{option}`" if group and options else f"there is no config `{missing}`"
    hint = extra_hint(group, option) or did_you_mean(option, options)
    place = _default_place(loader, group, option)
    return Problem("MF001", "" if place else missing, message, hint, place or _last_read(loader))


def _default_place(loader: Loader, group: str, option: str) -> Place | None:
    """Where a defaults list names an option."""
    named = ((document, in_defaults(document.root, group, option)) for document in loader.shelf.values())
    return next((document.place(node) for document, node in named if node is not None), None)


def _said(error: Exception) -> str:
    """Hydra's message, without its search path, its links and its account of where."""
    text = str(error) or str(error.__cause__ or type(error).__name__)
    if isinstance(error.__cause__, OmegaConfBaseException) and str(error):
        text += f": {str(error.__cause__).splitlines()[0]}"
    lines = [line.strip() for line in re.split(r"\n(?:Config search path|See http)", text)[0].splitlines()]
    lines = [line for line in lines if line and not re.match(r"(full_key|object_type|reference_type):?=?", line)]
    return " ".join(lines)
