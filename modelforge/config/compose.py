"""From a folder of configs and overrides, or from a running Hydra job, to one `Config`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.utils import create_config_search_path
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from modelforge.config import overrides as ov
from modelforge.config.document import Document, items
from modelforge.config.folder import check_conf, default_conf, groups
from modelforge.config.origins import Origins
from modelforge.config.resolve import resolve
from modelforge.config.source import NO_JOB, Loader, Naming, hydra_settings, search_path
from modelforge.errors import ForgeError, Place, Problem, did_you_mean

_FAILURES = (HydraException, OmegaConfBaseException, OSError, ValueError, AssertionError, RecursionError)
"""How Hydra and OmegaConf say that a config is wrong; anything else is a bug of ours and passes."""


@dataclass(frozen=True)
class Config:
    """A composed config: plain data, and where each value of it came from."""

    values: Mapping[str, Any]
    """The whole job config but Hydra's own part, every interpolation resolved, every key a string."""
    origins: Origins
    overrides: tuple[str, ...]
    choices: Mapping[str, str]
    """Group → chosen option, such as `model` → `lstm`."""


def compose(
    conf: str | Path | None = None,
    overrides: Sequence[str] = (),
    config_name: str = "config",
    *,
    shown_as: str | None = None,
) -> Config:
    """Composes a config as `@hydra.main` would, and leaves Hydra's global state as it was.

    Args:
        conf: the config folder; None for `default_conf()`.
        overrides: Hydra overrides, such as `model=lstm` or `init.gain=0.5`.
        config_name: the primary config, without `.yaml`.
        shown_as: what to call the folder in places, where it is a copy of another one.

    Raises:
        ForgeError: the folder, a file, an override or an interpolation is wrong; all that can be told at once.
    """
    folder = Path(conf) if conf is not None else default_conf()
    check_conf(folder, config_name)
    with hydra_settings():
        parsed = ov.parse(overrides)
        naming = Naming(folder, shown_as, Path.cwd())
        loader = Loader(create_config_search_path(os.path.abspath(folder)), naming)
        config = _load(loader, config_name.removesuffix(".yaml"), parsed, folder)
        runtime = config.pop("hydra")
        if runtime["job"]["name"] == NO_JOB:
            runtime["job"]["name"] = "???"
        origins = Origins(config, loader.contributions, _assignments(loader, parsed))
        values = _resolve(config, runtime, origins)
    return Config(values, origins, tuple(overrides), _choices(runtime))


def from_hydra(cfg: DictConfig) -> Config:
    """The config of the running `@hydra.main` job, with its origins.

    Raises:
        ForgeError: a mandatory value is missing, or an interpolation cannot be resolved.
    """
    # As text: an override that holds `${...}` is one string, and nothing to resolve.
    job = _plain(HydraConfig.get())
    config = _plain(cfg)
    config.pop("hydra", None)
    sources = [(source["provider"], source["schema"], source["path"]) for source in job["runtime"]["config_sources"]]
    main = next((path for provider, scheme, path in sources if provider == "main" and scheme == "file"), ".")
    task = tuple(job["overrides"]["task"])
    with hydra_settings():
        parsed = ov.parse(task)
        loader = Loader(search_path(sources), Naming(Path(main), None, Path(job["runtime"]["cwd"])))
        every = [*job["overrides"]["hydra"], *task]
        try:
            loader.keep(loader.compute_defaults_list(job["job"]["config_name"], every, RunMode.RUN).defaults)
        except (HydraException, ForgeError, OSError):
            # The files are gone or were edited since the job began: its values hold, their places are unknown.
            loader.contributions = ()
        origins = Origins(config, loader.contributions, _assignments(loader, parsed))
    values = _resolve(config, None, origins)
    return Config(values, origins, task, _choices(job))


def _load(loader: Loader, config_name: str, parsed: Sequence[Override], folder: Path) -> dict[str, Any]:
    """The composed config, Hydra's part included, interpolations as text."""
    try:
        loader.open(config_name, [override.input_line or "" for override in parsed])
        _check_options(loader, parsed)
        return _compose(loader, config_name, parsed)
    except _FAILURES as error:
        failure = error
    raise ForgeError(_explain(loader, config_name, parsed, folder, failure)) from failure


def _compose(loader: Loader, config_name: str, parsed: Sequence[Override]) -> dict[str, Any]:
    lines = [override.input_line or "" for override in parsed]
    return _plain(loader.load_configuration(config_name, lines, RunMode.RUN, from_shell=False))


def _check_options(loader: Loader, parsed: Sequence[Override]) -> None:
    problems: list[Problem] = []
    for override in parsed:
        value = override.value()
        if ov.sets_value(override, loader.folders.group_exists) or override.is_delete():
            continue
        for option in value if isinstance(value, list) else [value]:
            name = option if isinstance(option, str) else "null" if option is None else str(option)
            if "${" in name or name == "???":
                continue
            if not isinstance(option, str) or not loader.folders.config_exists(f"{override.key_or_group}/{option}"):
                known = loader.folders.get_group_options(override.key_or_group)
                problems.append(ov.unknown_option(override, name, known))
    if problems:
        raise ForgeError(problems)


def _explain(
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
        config = _compose(loader, config_name, good)
    except ForgeError as error:
        return list(error.problems)
    except _FAILURES as error:
        return [_hydra_problem(loader, good, error)]
    problems: list[Problem] = []
    for override in values:
        try:
            config = _compose(loader, config_name, [*good, override])
            good.append(override)
        except _FAILURES as error:
            problems.append(ov.cannot_apply(override, config, groups(folder), _said(error)))
    return problems or [_hydra_problem(loader, parsed, failure)]


def _hydra_problem(loader: Loader, parsed: Sequence[Override], error: Exception) -> Problem:
    """Hydra's own message as a problem, with the place of the override or the defaults list it speaks of."""
    said = _said(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing_config(loader, error.missing_cfg_file, error.options or ())
    if choose := re.match(r"You must specify '([^']+)'", said):
        group = choose[1]
        known = ", ".join(f"`{option}`" for option in loader.folders.get_group_options(group.partition("@")[0]))
        return Problem("MF011", group, f"`{group}` must be chosen", f"one of {known}")
    if unused := re.match(r"Could not (?:override|delete) '([^'=]+)[^']*'\. (?:No match|Did you mean)", said):
        key = unused[1]
        line = next((one.input_line for one in parsed if one.get_key_element().lstrip("~") == key), None)
        adds = line is not None and not line.startswith("~")
        message = f"the defaults list has no `{key}`"
        return Problem("MF001", key, message, f"to add it: `+{line}`" if adds else "", Place(override=line or key))
    return _speaks_of(loader, said)


def _speaks_of(loader: Loader, said: str) -> Problem:
    """The problem with the defaults list of the config that Hydra's message names."""
    for name, document in loader.shelf.items():
        root = document.root()
        if f"'{name}'" in said and isinstance(root, yaml.MappingNode):
            key = items(root).get("defaults", (root, root))[0]
            return Problem("MF001", "", said, place=document.place(key), part="key")
    return Problem("MF001", next(iter(loader.shelf), "config"), said)


def _missing_config(loader: Loader, missing: str, options: Sequence[str]) -> Problem:
    group, _, option = missing.rpartition("/")
    message = f"`{group}` has no option `{option}`" if group and options else f"there is no config `{missing}`"
    for document in loader.shelf.values():
        place = _default_place(document, group, option)
        if place is not None:
            return Problem("MF001", "", message, did_you_mean(option, options), place)
    return Problem("MF001", missing, message, did_you_mean(option, options))


def _default_place(document: Document, group: str, option: str) -> Place | None:
    """Where a defaults list names an option."""
    root = document.root()
    defaults = items(root).get("defaults") if isinstance(root, yaml.MappingNode) else None
    for item in defaults[1].value if defaults and isinstance(defaults[1], yaml.SequenceNode) else ():
        pairs = item.value if isinstance(item, yaml.MappingNode) else [(None, item)]
        for key, value in pairs:
            named = key.value.split()[-1].partition("@")[0].strip("/") if key is not None else ""
            path = f"{named}/{value.value}".strip("/") if isinstance(value, yaml.ScalarNode) else ""
            if path and f"{group}/{option}".endswith(path):
                return document.place(value)
    return None


def _said(error: Exception) -> str:
    """Hydra's message, without its search path, its links and its account of where."""
    text = str(error) or str(error.__cause__ or type(error).__name__)
    if isinstance(error.__cause__, OmegaConfBaseException) and str(error):
        text += f": {str(error.__cause__).splitlines()[0]}"
    lines = [line.strip() for line in re.split(r"\n(?:Config search path|See http)", text)[0].splitlines()]
    lines = [line for line in lines if line and not re.match(r"(full_key|object_type|reference_type):?=?", line)]
    return " ".join(lines)


def _assignments(loader: Loader, parsed: Sequence[Override]) -> tuple[ov.Assignment, ...]:
    return tuple(ov.assignment(one) for one in parsed if ov.sets_value(one, loader.folders.group_exists))


def _resolve(config: Mapping[str, Any], runtime: Mapping[str, Any] | None, origins: Origins) -> dict[str, Any]:
    try:
        return resolve(config, runtime)
    except ForgeError as error:
        raise ForgeError(problem.at(origins.written(problem.path)) for problem in error.problems) from None


def _plain(cfg: Any) -> dict[str, Any]:
    """The config as plain data, interpolations as text, keys as strings."""
    plain = OmegaConf.to_container(cfg, resolve=False, enum_to_str=True)
    assert isinstance(plain, dict)
    return _with_text_keys(plain)


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key_text(key): _with_text_keys(item) for key, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list) else value


def _key_text(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _choices(hydra: Mapping[str, Any]) -> dict[str, str]:
    """The options chosen from the groups of the config; Hydra's own groups and empty choices are left out."""
    choices = hydra["runtime"]["choices"]
    return {
        group: option for group, option in choices.items() if isinstance(option, str) and not group.startswith("hydra/")
    }
