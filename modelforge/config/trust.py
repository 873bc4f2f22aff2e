"""A config is data: what its files may not do, found before Hydra merges them, as problems with places.

A file reads nothing but the config folder, and uses no resolver but those listed here; what it may set of Hydra's is in
`hydra_settings`. What a person writes on the command line is that person's own: there, any resolver works.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf.errors import OmegaConfBaseException
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser as Grammar
from omegaconf.grammar_parser import parse

from modelforge.config.document import Document
from modelforge.config.folder import is_inside, shipped
from modelforge.config.folder_name import FOLDER_NAME
from modelforge.config.nodes import items, texts
from modelforge.config.references import split
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
    for node in texts(root):
        if wrong := _outward(node.value):
            problems.append(Problem("MF005", "", *wrong, document.place(node)))
    if problems:
        raise ForgeError(problems)


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
            for entry in texts(node)
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
        ForgeError: it is not a folder below the config folder, and no package that is known here.
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
    wanted = problem.key.rpartition("/")[2]
    for line in lines:
        if wanted in line:
            return replace(problem, key="", place=Place(override=line))
    for document in documents:
        for node in texts(document.root):
            words = re.split(r"[\s@]+", node.value)
            if any(word.strip("/") and f"/{problem.key}".endswith(f"/{word.lstrip('/')}") for word in words):
                return replace(problem, key="", place=document.place(node))
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
