"""check_hydra: what a config may set of Hydra's own: no code to call, and nothing that a launcher would evaluate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import yaml

from modelforge.config.document import Document
from modelforge.config.nodes import items, texts
from modelforge.config.references import KeyPath, split
from modelforge.core.errors import Place, Problem

_ANY = object()
_NAMES: Mapping[str, Any] = MappingProxyType({"*": _ANY})
_OPTUNA = ("direction", "n_jobs", "n_trials", "timeout")
_SAMPLER = ("name", "seed", "n_startup_trials", "multivariate", "constant_liar")
_JOBLIB = ("batch_size", "n_jobs", "timeout", "verbose")
_SUBMITIT = (
    "account", "array_parallelism", "comment", "constraint", "cpus_per_gpu", "cpus_per_task", "exclude",
    "gpus_per_node", "gpus_per_task", "gres", "max_num_timeout", "mem_gb", "mem_per_cpu", "mem_per_gpu", "name",
    "nodes", "partition", "qos", "signal_delay_s", "stderr_to_stdout", "submitit_folder", "tasks_per_node",
    "timeout_min",
)  # fmt: skip
_RAY = ("address", "max_retries", "num_cpus", "num_gpus", "total_cpus")

HYDRA_SETTINGS: Mapping[str, Any] = MappingProxyType(
    {
        "mode": _ANY,
        "searchpath": _ANY,
        "output_subdir": _ANY,
        "verbose": _ANY,
        "run": {"dir": _ANY},
        "sweep": {"dir": _ANY, "subdir": _ANY},
        "job": {
            "name": _ANY,
            "chdir": _ANY,
            "config": {"override_dirname": {"kv_sep": _ANY, "item_sep": _ANY, "exclude_keys": _ANY}},
        },
        "help": {"app_name": _ANY, "header": _ANY, "footer": _ANY, "template": _ANY},
        "sweeper": {
            "params": _NAMES,
            "search_space": _NAMES,
            "max_batch_size": _ANY,
            "sampler": dict.fromkeys(_SAMPLER, _ANY),
            **dict.fromkeys(_OPTUNA, _ANY),
        },
        "launcher": dict.fromkeys((*_JOBLIB, *_SUBMITIT, *_RAY), _ANY),
    }
)
"""What the files of a config may set below `hydra:`; `*` stands for any key."""

SECTIONS = (("hydra", "launcher"), ("hydra", "sweeper"), ("hydra", "sweeper", "params"))
"""Sections whose settings Hydra does not check."""
_CALLS = {"_target_", "()", "class", "factory", "custom_search_space", "pre_dispatch"}
"""Keys below `hydra:` whose text Hydra, `logging.config` or a launcher imports or evaluates."""


def check_hydra(package: str, document: Document) -> list[Problem]:
    """What a file, merged at `package`, sets of Hydra's own that it may not."""
    node = document.root
    if not isinstance(node, yaml.MappingNode):
        return []
    path = split(package)
    entries = items(node)
    entries.pop("defaults", None)
    if path[:1] == ("hydra",):
        start = document.place(node)
        allowed, known = _below(path[1:])
        if allowed is None:
            return [_not_settable(known, Place(start.file, start.line, start.column, 1, start.source))]
        return list(_check_entries(path, entries, allowed, document))
    if path or "hydra" not in entries:
        return []
    key, value = entries["hydra"]
    return list(_check_setting(("hydra",), key, value, HYDRA_SETTINGS, document))


def check_override(key: str, value: Any, line: str) -> list[Problem]:
    """What an override may not set of Hydra's own: code to call, and one value for a section of settings.

    The search path is checked where it is read.
    """
    path = split(key)
    if path[:1] != ("hydra",):
        return []
    if path in SECTIONS and not isinstance(value, Mapping) and not line.startswith("~"):
        return _no_settings(path, value, line)
    wrong = next((name for name in (*path, *_keys(value)) if name in _CALLS), None)
    if wrong is None and path[1:2] != ("callbacks",):
        return []
    message = f"`{key}` names code to call" if wrong is None else f"`{wrong}` of `{path[0]}` names code to call"
    return [Problem("MF006", key, message, _registered("callbacks" if wrong is None else ""), Place(override=line))]


def _no_settings(path: KeyPath, value: Any, line: str) -> list[Problem]:
    """The problem of a section that gets one value: an option is chosen with a slash."""
    key, given = ".".join(path), line.partition("=")[2]
    if path[-1] == "params":
        message, hint = (
            f"`{key}` holds keys with their values",
            "write `KEY=a,b,c`, or `hydra.sweeper.params={KEY: a,b,c}`",
        )
        return [] if value is None else [Problem("MF001", key, message, hint, Place(override=line))]
    hint = f"choose an option with a slash: `hydra/{path[-1]}={given}`"
    return [Problem("MF001", key, f"`{key}` holds the settings of an option", hint, Place(override=line))]


def _check_entries(
    path: KeyPath, entries: Mapping[str, tuple[yaml.Node, yaml.Node]], allowed: Any, document: Document
) -> Iterator[Problem]:
    for name, (key, value) in entries.items():
        below = allowed.get(name, allowed.get("*")) if name not in _CALLS else None
        yield from _check_setting((*path, name), key, value, below, document)


def _check_setting(
    path: KeyPath, key: yaml.Node, value: yaml.Node, allowed: Any, document: Document
) -> Iterator[Problem]:
    if allowed is None:
        yield _not_settable(path, document.place(key))
    elif path[1:3] in (("sweeper", "params"), ("sweeper", "search_space")) and len(path) > 3:
        yield from _check_param(path, key, value, document)
    elif allowed is _ANY:
        yield from _check_text(path, value, document)
    elif isinstance(value, yaml.MappingNode):
        yield from _check_entries(path, items(value), allowed, document)
    elif not (isinstance(value, yaml.ScalarNode) and value.value in ("", "~", "null")):
        yield Problem(
            "MF006", ".".join(path), f"`{'.'.join(path)}` holds settings, `key: value`", "", document.place(value)
        )


def _check_param(path: KeyPath, key: yaml.Node, value: yaml.Node, document: Document) -> Iterator[Problem]:
    """A parameter of a sweep becomes an override: it may do no more than the file itself."""
    name = path[3].lstrip("+~")
    if name.split(".")[0].split("/")[0].split("@")[0] == "hydra":
        message = f"a file cannot sweep over `{name}`, a setting of Hydra's"
        yield Problem("MF006", ".".join(path), message, "", document.place(key))
    elif any("${" in node.value for node in texts(key, value)):
        message = f"the values of `{name}` hold an interpolation"
        yield Problem("MF006", ".".join(path), message, "write the values of a sweep out", document.place(value))


def _check_text(path: KeyPath, value: yaml.Node, document: Document) -> Iterator[Problem]:
    """Settings end up in scripts and names of folders: one line each."""
    if path[1] == "help":
        return
    for node in texts(value):
        if not node.value.isprintable():
            message = f"`{'.'.join(path)}` holds a line break or another control character"
            yield Problem("MF006", ".".join(path), message, "", document.place(node))


def _below(path: KeyPath) -> tuple[Any, KeyPath]:
    """What may be set below a path of Hydra's, or None; and the path as far as it was followed."""
    allowed: Any = HYDRA_SETTINGS
    for index, name in enumerate(path):
        allowed = None if allowed is _ANY or name in _CALLS else allowed.get(name)
        if allowed is None:
            return None, ("hydra", *path[: index + 1])
    return (allowed, ("hydra", *path)) if allowed is not _ANY else (None, ("hydra", *path))


def _not_settable(path: KeyPath, place: Place) -> Problem:
    key = ".".join(path)
    message = f"a config file may not set `{key}`"
    return Problem("MF006", key, message, _registered(path[1] if len(path) > 1 else ""), place, "key")


def _registered(what: str) -> str:
    if what == "callbacks":
        line = "- override hydra/callbacks: sweep_report"
        return (
            f"for the table of a multirun, write `{line}` in config.yaml\n"
            "other callbacks of Hydra are registered in code, with its ConfigStore"
        )
    if what in ("launcher", "sweeper", "job_logging", "hydra_logging"):
        return f"register it in code (Hydra's ConfigStore), then `override hydra/{what}: NAME`"
    return "register it in code, with Hydra's ConfigStore" if not what else "set it on the command line"


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _keys(item)
