"""The configs that a command looks at, one or every combination that a folder offers, and the form of what it found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path, PurePosixPath

from modelforge.cli.answer import Answer
from modelforge.cli.changed import changed_since
from modelforge.cli.output import written
from modelforge.config.composition import Library
from modelforge.config.folder import default_conf, groups, options
from modelforge.core.codes import CODES
from modelforge.core.errors import Problem
from modelforge.linting.rule import RULES
from modelforge.report.annotations import Annotation
from modelforge.report.formats import FORMATS

MAX_LABELS = 3
"""Configs that are named where a finding is in several of them."""


@dataclass(frozen=True)
class Chosen:
    """One of the configs that a command looks at."""

    choice: tuple[str, ...]
    """What sets it apart from the others, as overrides."""
    overrides: tuple[str, ...]
    """All overrides, the choice included."""

    @property
    def label(self) -> str:
        """The choice in words."""
        return " ".join(self.choice) or "the config"


def wanted(
    conf: Path | None, overrides: Sequence[str], library: Library, *, every: bool, base_ref: str | None
) -> list[tuple[str, ...]]:
    """The choices that a command looks at; one without overrides is the config itself.

    Args:
        conf: The folder; None for the default one.
        overrides: Hydra overrides, which apply to all of them.
        library: The files of the folder.
        every: Whether to look at all combinations.
        base_ref: Only configs that read a file that differs from this revision; None for all.

    Raises:
        ForgeError: there is no such folder, or git does not know the revision.
    """
    changed = changed_since(base_ref, conf) if base_ref is not None else None
    chosen = choices(conf if conf is not None else default_conf(), overrides) if every else [()]
    if changed is None:
        return chosen
    return [choice for choice in chosen if changed.touch((*choice, *overrides), library)]


def choices(conf: Path, overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """Every model with every init, and every experiment, in folders of folders too; a chosen group is fixed."""
    return list(_choices(conf, overrides))


def _choices(conf: Path, overrides: Sequence[str]) -> Iterator[tuple[str, ...]]:
    chosen = {override.partition("=")[0] for override in overrides}
    axes = [_options(conf, group) if group not in chosen else () for group in ("model", "init")]
    for choice in product(*(axis or ("",) for axis in axes)):
        yield tuple(filter(None, choice))
    if not chosen & {"model", "init", "experiment"}:
        for group in groups(conf):
            if PurePosixPath(group).parts[0] == "experiment":
                yield from ((experiment,) for experiment in _options(conf, group))


def _options(conf: Path, group: str) -> tuple[str, ...]:
    if not (conf / group).is_dir():
        return ()
    name, *folders = PurePosixPath(group).parts
    return tuple(f"{name}={'/'.join((*folders, option))}" for option in options(conf, group))


def shaped(
    made: Answer, problems: Iterable[Problem], *, form: str, folder: Path, output: Path | None, line: str
) -> Answer:
    """An answer about findings in another form than text, and in a file.

    Args:
        made: The answer, as data and as text.
        problems: The findings; equal ones of several configs are said once.
        form: `text`, `json` or a name of `FORMATS`.
        folder: The config folder.
        output: A file to write; None for the standard output.
        line: What to print where a file is written, up to its name.

    Raises:
        ForgeError: the file cannot be written.
    """
    if form in FORMATS:
        titles = {**CODES, **{code: rule.title for code, rule in RULES.entries()}}
        annotations = [Annotation.of(problem) for problem in dict.fromkeys(problems)]
        made = replace(made, text=FORMATS[form](annotations, titles, folder.as_posix()))
    elif form == "json":
        made = replace(made, text=json.dumps(made.data, indent=2) + "\n")
    return made if output is None else written(made, output, f"{line}: {output}")
