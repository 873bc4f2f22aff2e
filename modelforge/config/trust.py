"""A config is data: what its files may not do, found before Hydra merges them, as problems with places.

A file reads nothing but the config folder, uses no resolver but those listed here, and sets nothing of Hydra's but what
`HYDRA_SETTINGS` lists. What a person writes on the command line is that person's own: there, any resolver works.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from omegaconf.errors import OmegaConfBaseException
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser as Grammar
from omegaconf.grammar_parser import parse

from modelforge.config.document import Document
from modelforge.config.folder import is_inside, shipped
from modelforge.config.folder_name import FOLDER_NAME
from modelforge.config.nodes import items, nodes
from modelforge.config.references import KeyPath, split
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.paths import is_below

CODES = frozenset({"MF004", "MF005", "MF006"})
"""The codes of what a config is not trusted with."""

RESOLVERS = frozenset(
    {
        FOLDER_NAME,
        "arg",
        "calc",
        "hydra",
        "now",
        "oc.create",
        "oc.decode",
        "oc.dict.keys",
        "oc.dict.values",
        "oc.select",
    }
)
"""The resolvers that a config file may use: what they give follows from the config itself, or is the time."""

_BY_KEY = ("oc.select", "oc.dict.keys", "oc.dict.values")

RUN_FACTS = (
    "job.chdir", "job.config", "job.config_name", "job.id", "job.name", "job.num", "job.override_dirname", "mode",
    "run.dir", "runtime.choices", "runtime.output_dir", "runtime.version", "sweep.dir", "sweep.subdir",
)  # fmt: skip
"""What `${hydra:...}` may ask for in a config file; facts about the machine (`runtime.cwd`) are refused."""

_ANY = object()
_NAMES: Mapping[str, Any] = MappingProxyType({"*": _ANY})
_OPTUNA = ("direction", "max_failure_rate", "n_jobs", "n_trials", "study_name")
_SAMPLER = ("seed", "n_startup_trials", "n_ei_candidates", "multivariate", "group", "constant_liar", "consider_prior",
    "prior_weight", "consider_magic_clip", "consider_endpoints")  # fmt: skip
_JOBLIB = ("batch_size", "n_jobs", "timeout", "verbose")
_SUBMITIT = (
    "array_parallelism", "constraint", "cpus_per_gpu", "cpus_per_task", "gpus_per_node", "gpus_per_task", "gres",
    "max_num_timeout", "mem_gb", "mem_per_cpu", "mem_per_gpu", "name", "nodes", "partition", "qos", "stderr_to_stdout",
    "submitit_folder", "tasks_per_node", "timeout_min",
)  # fmt: skip

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
        "launcher": dict.fromkeys((*_JOBLIB, *_SUBMITIT), _ANY),
    }
)
"""What the files of a config may set below `hydra:`; `*` stands for any key."""

_CALLS = {"_target_", "()", "class", "factory", "custom_search_space", "pre_dispatch"}
"""Keys below `hydra:` whose text Hydra, `logging.config` or a launcher imports or evaluates."""

PLAIN = re.compile(r"\$\{\s*(?:(?:arg|calc)\s*:[^${}]*|(?!\.*hydra\b)[.\w\[\]]+)\s*\}")
"""A reference by key or a template, which reach nothing but the config."""
_SEARCHED = "write a folder below the config folder, or `pkg://modelforge.conf`, the configs that modelforge ships"
_BELOW = "a file may name folders below its config folder; any other is named on the command line"
_PACKAGES = ("modelforge.conf", "modelforge/conf")


def check_resolvers(document: Document) -> None:
    """Refuses the resolvers of a file that reach outside the config.

    Raises:
        ForgeError: with each of them.
    """
    root = document.root
    problems: list[Problem] = []
    for node in _scalars(root):
        if wrong := _outward(node.value):
            problems.append(Problem("MF005", "", *wrong, document.place(node)))
    if problems:
        raise ForgeError(problems)


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
    """What an override may not set of Hydra's own: code to call. (The search path is checked where it is read.)"""
    path = split(key)
    if path[:1] != ("hydra",):
        return []
    wrong = next((name for name in (*path, *_keys(value)) if name in _CALLS), None)
    if wrong is None and path[1:2] != ("callbacks",):
        return []
    message = f"`{key}` names code to call" if wrong is None else f"`{wrong}` of `{path[0]}` names code to call"
    return [Problem("MF006", key, message, _registered("callbacks" if wrong is None else ""), Place(override=line))]


def check_search_path(document: Document) -> list[Problem]:
    """The entries of a file's `hydra.searchpath` that name no folder below the config folder, and no known package."""
    node: yaml.Node | None = document.root
    for name in ("hydra", "searchpath"):
        node = items(node).get(name, (None, None))[1] if isinstance(node, yaml.MappingNode) else None
    return (
        []
        if node is None
        else [
            Problem("MF004", "", *wrong, document.place(entry))
            for entry in _scalars(node)
            if (wrong := _leads_outside(entry.value)) is not None
        ]
    )


def _leads_outside(entry: str) -> tuple[str, str] | None:
    """What is wrong with an entry of a search path, whatever folders there are, and the way out."""
    scheme, colon, place = entry.rpartition("://")
    if scheme == "pkg" and place in _PACKAGES:
        return None
    if colon and scheme != "file":
        return f"`{entry}` is not searched for configs", _SEARCHED
    if re.match(r"[/\\~]|\w:", place) or ".." in re.split(r"[/\\]", place):
        return f"the folder `{place}` lies outside the config folder", _BELOW
    return None


def search_folder(entry: str, root: Path, *, own: bool) -> str:
    """An entry of `hydra.searchpath` as a folder; nothing is imported to find it.

    Args:
        entry: as it is written.
        root: the config folder.
        own: whether it stands on the command line, where it may be any folder.

    Raises:
        ForgeError: it is no folder below the config folder, and no package that is known here.
    """
    scheme, colon, place = entry.rpartition("://")
    if scheme == "pkg" and place in _PACKAGES and (found := shipped()) is not None:
        return f"file://{found}"
    if colon and scheme != "file":
        raise ForgeError([Problem("MF004", entry, f"`{entry}` is not searched for configs", _SEARCHED)])
    if not own and not is_inside(Path(place), root):
        raise ForgeError([Problem("MF004", entry, f"the folder `{place}` lies outside the config folder", _BELOW)])
    if not Path(place).is_dir():
        raise ForgeError([Problem("MF004", entry, f"there is no folder `{place}` to search for configs")])
    return f"file://{place}"


def outside(config: str) -> ForgeError:
    """The refusal of a config that lies elsewhere."""
    message = f"`{config}` lies outside the config folder"
    hint = "copy the file into the folder: nothing else is read, also not through links"
    return ForgeError([Problem("MF004", config, message, hint)])


def placed(problem: Problem, documents: Iterable[Document], lines: Sequence[str]) -> Problem:
    """The problem of a path that leads outside with the place where it is written, in a file or an override."""
    if problem.code != "MF004" or problem.place is not None:
        return problem
    wanted = problem.path.rpartition("/")[2]
    for line in lines:
        if wanted in line:
            return replace(problem, path="", place=Place(override=line))
    for document in documents:
        for node in _scalars(document.root):
            words = re.split(r"[\s@]+", node.value)
            if any(word.strip("/") and f"/{problem.path}".endswith(f"/{word.lstrip('/')}") for word in words):
                return replace(problem, path="", place=document.place(node))
    return problem


def _outward(text: str) -> tuple[str, str] | None:
    """What is wrong with the interpolations in a text, and the way out."""
    if "${" not in PLAIN.sub("", text):
        return None
    try:
        tree = parse(text)
    except OmegaConfBaseException:
        return None  # no interpolation, as reading the file says
    return next(filter(None, map(_wrong_with, _walk(tree))), None)


def _wrong_with(node: Any) -> tuple[str, str] | None:
    if isinstance(node, Grammar.InterpolationResolverContext):
        parts: Any = node.getChildren()
        _, name, _, argument, *_ = (part.getText() for part in parts)
        if "${" in name:
            return "the name of a resolver is made by an interpolation", "write its name"
        if name not in RESOLVERS:
            hint = f"give the value on the command line: `KEY='{node.getText()}'`"
            return f"the resolver `{name}` may reach outside, and a config file is data", hint
        if name == "hydra":
            return _wrong_fact(argument)
        return _wrong_key(argument.partition(",")[0].strip("'\"")) if name in _BY_KEY else None
    if isinstance(node, Grammar.InterpolationNodeContext):
        return _wrong_key(node.getText().removeprefix("${").removesuffix("}"))
    return None


def _wrong_key(key: str) -> tuple[str, str] | None:
    """What is wrong with a key that an interpolation looks up: it is one of Hydra's own, or may become one."""
    key = key.strip().lstrip(".")
    if key.startswith("${"):
        return "the key of an interpolation is made by another one", "write the first name of the key"
    names = split(key)
    return _wrong_fact(".".join(names[1:])) if names[:1] == ("hydra",) else None


def _wrong_fact(key: str) -> tuple[str, str] | None:
    key = key.strip().strip("'\"")
    if any(is_below(key, fact) for fact in RUN_FACTS):
        return None
    hint = "a file may ask for the run's own, such as `hydra:job.num`"
    return f"`hydra:{key}` is a fact about the machine, and a config file is data", hint


def _walk(tree: Any) -> Iterator[Any]:
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node
        stack += getattr(node, "children", None) or ()


def _scalars(*roots: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """The names and values of a file, in its order."""
    every = (node for root in roots if root is not None for node in nodes(root))
    return (node for node in every if isinstance(node, yaml.ScalarNode))


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
    elif any("${" in node.value for node in _scalars(key, value)):
        message = f"the values of `{name}` hold an interpolation"
        yield Problem("MF006", ".".join(path), message, "write the values of a sweep out", document.place(value))


def _check_text(path: KeyPath, value: yaml.Node, document: Document) -> Iterator[Problem]:
    """Settings end up in scripts and names of folders: one line each."""
    if path[1] == "help":
        return
    for node in _scalars(value):
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
