"""entries: two config folders → what can be composed of them; `Composition`: an entry composed on one side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import PurePath, PurePosixPath
from typing import Any

from modelforge.config.compose import Config, compose
from modelforge.config.composition import Library
from modelforge.config.overrides import parse as parse_overrides
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.language import parse
from modelforge.planning.plan import Plan, plan
from modelforge.planning.study import Studies
from modelforge.review.changed_files import REVIEW, Content, named
from modelforge.review.sides import Side, split_words
from modelforge.review.values import Path, exact
from modelforge.runs.status import as_hydra_reads

GROUPS_FIRST = ("model", "init", "data", "optimizer", "scheduler", "trainer")
PLANNED = ("model", "init", "weights", "seed", "dtype")
"""The sections that a plan is made of."""
MISSING = "MF011"
"""The code of a mandatory value that is missing (`???`)."""
UNSET = "unset"
"""Stands for such a value, so that the rest can be compared."""
MOMENT = datetime(2031, 2, 13, 16, 45, 58, 987654)
"""What `${now:...}` gives on both sides: the clock makes no difference. Its parts differ, as patterns may."""
OF_THE_CALL = frozenset({"runtime", "overrides", "job.override_dirname"})
"""Keys in which Hydra notes how it was called: no part of a config."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to compose: the default, an option of a group in it, or another primary config."""

    label: str
    overrides: tuple[str, ...] = ()
    config_name: str = "config"
    file: str = ""
    """The file of the option; empty for the default."""


@dataclass(frozen=True)
class Composition:
    """An entry, composed on one side."""

    config: Config | None
    problems: tuple[Problem, ...] = ()
    """Why it cannot be composed."""
    files: frozenset[str] = frozenset()
    """The files that it read, below the config folder."""
    signature: tuple[Any, ...] = ()
    """The files that it merged, in order, and overrides of values: entries of equal signature are equal."""
    studies: Studies | None = None
    merged: tuple[tuple[str, str], ...] = ()
    """Package and path of each file that it merged, in order."""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """Names of files in places → their paths below the config folder."""
    unset: tuple[str, ...] = ()
    """Keys of mandatory values that nothing gives; `UNSET` stands for them."""
    read_files: bool = True
    """Whether its plan looks into files of weights."""

    @cached_property
    def values(self) -> dict[str, Any]:
        """Everything that is composed: the job's values, Hydra's settings, and the chosen options."""
        if self.config is None:
            return {}
        settings = {key: value for key, value in self.config.hydra.items() if key not in OF_THE_CALL}
        if isinstance(job := settings.get("job"), Mapping):
            settings["job"] = {key: value for key, value in job.items() if f"job.{key}" not in OF_THE_CALL}
        return {**self.config.values, "hydra": settings, "choices": dict(self.config.choices)}

    @cached_property
    def written(self) -> dict[str, Any]:
        """The same with interpolations as they are written."""
        if self.config is None:
            return {}
        return {**self.config.origins.config, "hydra": self.values["hydra"], "choices": self.values["choices"]}

    @cached_property
    def planned(self) -> str:
        """What its plan is made of, as a text: compositions with equal texts have equal plans."""
        return exact({key: self.values.get(key) for key in PLANNED})

    @cached_property
    def decided(self) -> Plan | tuple[Problem, ...]:
        """Its plan, or why there is none."""
        if self.config is None:
            return self.problems
        try:
            return plan(parse(self.config), self.studies, read_files=self.read_files)
        except ForgeError as error:
            return error.problems

    def place(self, path: Path) -> Place | None:
        """Where the value at a path was written, not looking through interpolations, or the nearest one around it."""
        if self.config is None:
            return None
        return self.config.origins.at(path) or self.config.origins.written(".".join(path))

    def plans_like(self, other: Composition) -> bool:
        """Whether both have the same model sections, in the same order, so that their plans are equal."""
        sections = [set(side.config.values) if side.config else set[str]() for side in (self, other)]
        return sections[0] == sections[1] and self.planned == other.planned


def entries(files: Sequence[str], overrides: Sequence[str], further: Sequence[str] = ()) -> list[Entry]:
    """The default, each option of each group in it, each other primary config, and further ones.

    Args:
        files: All files of both sides.
        overrides: What applies to all; a group that they choose is fixed.
        further: Overrides of further compositions, each as one text: `"model=gpt2 data=text"`.
    """
    chosen = {override.partition("=")[0].lstrip("+~").partition("@")[0] for override in overrides}
    found: list[Entry] = []
    for file in (file for file in files if file.endswith(".yaml") and file != REVIEW):
        group, _, name = file.removesuffix(".yaml").rpartition("/")
        if not group:
            if name != "config":
                found.append(Entry(f"--config-name={name}", (), name, file))
        elif group not in chosen and _is_group(group):
            found.append(Entry(f"{group}={name}", (f"{group}={as_hydra_reads(name)}",), file=file))
    rank = {group: index for index, group in enumerate(GROUPS_FIRST)}
    found.sort(key=lambda entry: rank.get(entry.file.rpartition("/")[0], len(rank)))
    found += [Entry(" ".join(words.split()), split_words(words)) for words in further]
    return [Entry("the default"), *found]


def _is_group(name: str) -> bool:
    """Whether an override can name a folder as a group: `model/mlp.yaml` is none."""
    try:
        return bool(parse_overrides((f"{name}=a",)))
    except ForgeError:
        return False


def composed(
    side: Side, entry: Entry, overrides: Sequence[str], studies: Studies, library: Library | None = None
) -> Composition:
    """Composes an entry on one side; `studies` serve its plan, and `library` keeps the files that were read."""
    every = (*entry.overrides, *side.overrides, *overrides)
    try:
        config, unset = _given(side, every, entry, library)
    except ForgeError as error:
        # A group that the defaults list does not name is added.
        added = [f"+{override}" for override in entry.overrides]
        try:
            if not added:
                raise
            config, unset = _given(side, (*added, *every[len(added) :]), entry, library)
        except ForgeError as second:
            # Of a group that has to be added, what stands in the way of that.
            unlisted = any(f"`{override}`" in problem.hint for problem in error.problems for override in added)
            return Composition(None, second.problems if unlisted else error.problems)
    names = {one.document.file: below(side.shown_as, one.document.file) for one in config.origins.contributions}
    merged = tuple((one.package, names[one.document.file]) for one in config.origins.contributions)
    signature = (*merged, *sorted(config.choices.items()), *(one.text for one in config.origins.assignments))
    return Composition(
        config=config,
        problems=(),
        files=frozenset(names.values()),
        signature=signature,
        studies=studies,
        merged=merged,
        names=names,
        unset=unset,
    )


def _given(
    side: Side, overrides: Sequence[str], entry: Entry, library: Library | None
) -> tuple[Config, tuple[str, ...]]:
    """The composition; a mandatory value that an option leaves open gets a text."""

    def made(further: Sequence[str]) -> Config:
        every = (*overrides, *further)
        return compose(side.folder, every, entry.config_name, shown_as=side.shown_as, library=library, moment=MOMENT)

    try:
        return made(()), ()
    except ForgeError as error:
        unset = tuple(problem.key for problem in error.problems if problem.code == MISSING)
        if not entry.file or len(unset) < len(error.problems):
            raise
        return made([f"{key}={UNSET}" for key in unset]), unset


def below(folder: str | PurePath, file: str) -> str:
    """The path of a shown file below the folder that it is shown in."""
    shown = PurePosixPath(file)
    return shown.relative_to(folder).as_posix() if shown.is_relative_to(folder) else file


@dataclass
class Reach:
    """Which files a composition of one side may read, by the defaults lists alone: too many rather than too few."""

    side: Side
    contents: Mapping[str, Content]
    overrides: Sequence[str]
    _leads: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def may_read(self, entry: Entry) -> frozenset[str]:
        """The files below the config folder."""
        known = frozenset(self.contents)
        waiting = {f"{entry.config_name}.yaml", entry.file, *self._chosen(entry, known)} & known
        found: set[str] = set()
        while waiting:
            file = waiting.pop()
            found.add(file)
            if file not in self._leads:
                self._leads[file] = frozenset(named(self.contents[file], file, known))
            waiting |= self._leads[file] - found
        return frozenset(found)

    def _chosen(self, entry: Entry, known: frozenset[str]) -> Iterator[str]:
        further = () if entry.file else entry.overrides
        for override in (*further, *self.side.overrides, *self.overrides):
            group = override.partition("=")[0].lstrip("+~").partition("@")[0]
            yield from (file for file in known if file.startswith(f"{group}/"))
