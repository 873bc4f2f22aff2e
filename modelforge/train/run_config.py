"""The config of a run folder: composed again, where a mistake in it stands, and whether its code is still here."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from modelforge.config.compose import Config, compose
from modelforge.config.nodes import nodes
from modelforge.config.templates import is_template
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.limits import MAX_CONFIG_BYTES
from modelforge.core.own_code import code_digest
from modelforge.core.regular_files import read_text
from modelforge.runs import environment

CONFIG = "config.yaml"


def other_code(folder: Path) -> tuple[Problem, ...]:
    """A warning where the project's own modules are no longer those that the run was trained with."""
    recorded = environment.read(folder)
    now = code_digest()
    if not recorded.get("code") or now is None or recorded["code"] == now:
        return ()
    git = recorded.get("git")
    message = f"the project's own modules are no longer what `{folder}` was trained with: their digest differs"
    hint = "where that affects its layers, data or task, its predictions are no longer those of the training"
    if isinstance(git, dict) and git.get("commit"):
        dirty = ", with changes that were not committed" if git.get("dirty") else ""
        hint += f"; it is of commit {str(git['commit'])[:12]}{dirty}"
    return (Problem("MW213", "", message, hint, severity="warning"),)


@contextmanager
def placed_in(folder: Path) -> Generator[None]:
    """Problems with the config of a run get their place in its file, and the way out where its code has changed."""
    try:
        yield
    except ForgeError as error:
        with suppress(ForgeError):  # what cannot be composed keeps its keys
            error = ForgeError(map(compose_run(folder).origins.locate, error.problems))
        raise ForgeError([*error.problems, *other_code(folder)]) from None


def compose_run(source: Path, overrides: Sequence[str] = ()) -> Config:
    """The config of a run; its values are final, so that `${` in one is text, unless it begins a template."""
    with _escaped(source) as folder:
        return compose(folder, overrides, CONFIG, shown_as=str(source))


@contextmanager
def _escaped(source: Path) -> Generator[Path]:
    """A folder with the config of a run, where `${` begins templates only (`${arg:width}`) and no interpolation."""
    root = None
    with suppress(OSError, ValueError, RecursionError, yaml.YAMLError):  # `compose` says what is wrong with the file
        text = read_text(source / CONFIG, MAX_CONFIG_BYTES)
        root = yaml.compose(text, yaml.SafeLoader) if "${" in text else None
    if root is None:
        yield source
        return
    for node in nodes(root):
        if isinstance(node, yaml.ScalarNode) and not is_template(node.value):
            node.value = re.sub(r"(\\*)\$\{", r"\1\1\\${", node.value)
    with TemporaryDirectory() as folder:
        (Path(folder) / CONFIG).write_text(yaml.serialize(root, Dumper=yaml.SafeDumper), encoding="utf-8")
        yield Path(folder)
