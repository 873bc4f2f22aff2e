"""select: what a command line asks for → the jobs of a sweep, each composed and checked before any begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from modelforge.config.compose import Config, compose
from modelforge.config.composition import Library
from modelforge.config.conditions import Absent, Condition, Subject
from modelforge.config.folder import groups, options
from modelforge.config.loader import hydra_settings
from modelforge.config.overrides import parse
from modelforge.config.sweeps import Sweep
from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.suggestions import did_you_mean
from modelforge.runs.jobs import LeftOut
from modelforge.train.settings import SweepSettings

Words = tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """A combination of values that is a job."""

    overrides: Words
    config: Config


@dataclass(frozen=True)
class Selection:
    """The jobs of a sweep."""

    jobs: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...] = ()
    """The combinations with an invalid value."""
    problems: tuple[Problem, ...] = ()
    """Of those; equal ones once, with their number."""
    notes: tuple[Problem, ...] = ()
    """Warnings about jobs, equal ones once."""
    num_excluded: int = 0
    """Combinations for which a condition does not hold."""

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is to be said before the jobs begin."""
        left_out = (
            replace(problem, code="MW223", severity="warning", message=f"left out: {problem.message}")
            for problem in self.problems
        )
        return *self.notes, *left_out


@dataclass
class _Found:
    """What becomes of the combinations of a sweep, one after another."""

    sweep: Sweep
    jobs: list[Candidate] = field(default_factory=list[Candidate])
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])
    problems: dict[Problem, int] = field(default_factory=dict[Problem, int])
    notes: dict[Problem, None] = field(default_factory=dict[Problem, None])
    num_excluded: int = 0

    def take(self, job: Candidate, notes: Iterable[Problem]) -> None:
        """A combination that is a job, with warnings about it."""
        self.notes |= dict.fromkeys(map(self.sweep.blame, notes))
        self.jobs.append(job)

    def leave_out(self, words: Words, problems: Iterable[Problem]) -> None:
        """A combination with an invalid value."""
        found = tuple(map(self.sweep.blame, problems))
        self.left_out.append(LeftOut(words, tuple(problem.to_dict() for problem in found)))
        for problem in found:
            self.problems[problem] = self.problems.get(problem, 0) + 1

    def selection(self, where: Sequence[str], *, skip_invalid: bool) -> Selection:
        """The jobs.

        Raises:
            ForgeError: values are invalid and are not skipped, or no job is left.
        """
        total = len(self.jobs) + len(self.left_out)
        problems = tuple(_counted(problem, number, total) for problem, number in self.problems.items())
        if problems and not skip_invalid:
            raise ForgeError(_with_way_out(problems) if self.jobs else problems)
        if not self.jobs:
            raise ForgeError([*problems, _nothing(where, self)])
        return Selection(tuple(self.jobs), tuple(self.left_out), problems, tuple(self.notes), self.num_excluded)


def select(
    sweep: Sweep,
    settings: SweepSettings,
    conf: Path,
    config_name: str,
    check: Callable[[Config], tuple[Config, Iterable[Problem]]],
    kept: Callable[[Config], Config] = lambda config: config,
    moment: datetime | None = None,
) -> Selection:
    """Composes and checks every combination of values.

    Args:
        sweep: What the command line asks for.
        settings: The `sweep` section.
        conf: The folder of configs.
        config_name: The primary config.
        check: Raises what is wrong with a job besides composing it; gives the config to freeze, and warnings.
        kept: What is kept of a config; ten thousand whole ones take gigabytes.
        moment: What `${now:...}` gives in all jobs.

    Raises:
        ForgeError: values are invalid and `skip_invalid` is off, a condition or a list of zipped keys is wrong, or
            nothing is left.
    """
    sweep = zipped(sweep, settings.zip or ())
    where = [settings.where] if isinstance(settings.where, str) else [*(settings.where or ())]
    conditions = _conditions(where, conf)
    found, library = _Found(sweep), Library()
    with hydra_settings():
        for words in sweep.jobs():
            own = tuple(word for word in words if not of_engine(word))
            try:
                config = _composed(own, words, conditions, conf, config_name, library, moment)
                if config is None:
                    found.num_excluded += 1
                    continue
                if wrong := [*sweep.unread(config)]:
                    raise ForgeError(wrong)
                config, notes = check(config)
                found.take(Candidate(own, kept(config)), notes)
            except ForgeError as error:
                found.leave_out(own, error.problems)
    return found.selection(where, skip_invalid=settings.skip_invalid)


def zipped(sweep: Sweep, lists: Sequence[Sequence[str]]) -> Sweep:
    """The sweep with keys whose values go together.

    Raises:
        ForgeError: a key has one value or none, is in two lists, or the numbers of values differ.
    """
    axes = {axis.name: axis for axis in sweep.axes}
    swept = [name for name, axis in axes.items() if axis.is_list]
    problems: list[Problem] = []
    seen: set[str] = set()
    for keys in lists:
        for key in keys:
            if key in seen:
                problems.append(_zip_problem(f"`{key}` is in two lists", "each key goes together with those of one"))
            elif key not in swept:
                hint = did_you_mean(key, swept) or f"give it several values: `{key}=...,...`"
                problems.append(_zip_problem(f"`{key}` does not have several values in this sweep", hint))
            seen.add(key)
        lengths = {key: len(axes[key].words) for key in keys if key in swept}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"`{key}` has {number}" for key, number in lengths.items())
            problems.append(_zip_problem(f"values go together one by one, but {counts}", "give equally many"))
    if problems:
        raise ForgeError(problems)
    return replace(sweep, zip=tuple(tuple(keys) for keys in lists if keys))


def _zip_problem(message: str, hint: str) -> Problem:
    return Problem("MF084", "sweep.zip", message, hint)


def _conditions(where: Sequence[str], conf: Path) -> list[Condition]:
    found: list[Condition] = []
    problems: list[Problem] = []
    known = groups(conf)
    for text in where:
        try:
            found.append(Condition.read(text))
        except Refusal as refusal:
            problems.append(Problem("MF084", "sweep.where", str(refusal), refusal.hint))
            continue
        for group, option in found[-1].options():
            if group in known and "/" not in option and option not in (every := options(conf, group)):
                message = f"`{text}` names no option of `{group}`: there is no `{option}`"
                problems.append(Problem("MF084", "sweep.where", message, did_you_mean(option, every)))
    if problems:
        raise ForgeError(problems)
    return found


def _composed(
    own: Words,
    words: Words,
    conditions: Sequence[Condition],
    conf: Path,
    config_name: str,
    library: Library,
    moment: datetime | None,
) -> Config | None:
    """The config of a job; None where a condition does not hold, which may be why it could not be composed."""
    try:
        config = compose(conf, [word for word in words if not word.startswith("sweep.")], config_name,
                         library=library, moment=moment)  # fmt: skip
    except ForgeError:
        if any(_fails(condition, _subject(own)) for condition in conditions):
            return None
        raise
    subject = Subject(config.values, config.choices)
    for condition in conditions:
        try:
            if not condition.holds(subject):
                return None
        except Refusal as refusal:
            hint = refusal.hint
            if isinstance(refusal, Absent) and hint.startswith("a text stands"):
                hint = f"name the jobs that have it first, as in `init != constant or {condition.text}`"
            message = f"`{condition.text}` cannot be decided of a job: {refusal}"
            raise ForgeError([Problem("MF084", "sweep.where", message, hint)]) from None
    return config


def _fails(condition: Condition, subject: Subject) -> bool:
    """Whether a condition is known not to hold."""
    try:
        return not condition.holds(subject)
    except Refusal:
        return False


def _subject(words: Words) -> Subject:
    """What the overrides alone say of a job that cannot be composed."""
    values: dict[str, Any] = {}
    choices: dict[str, str] = {}
    for override in parse(words):
        key, value = override.key_or_group, override.value()
        if "." not in key:
            choices[key] = str(value)
        inner = values
        *parents, last = key.split(".")
        for name in parents:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                break
        else:
            inner.setdefault(last, value)
    return Subject(values, choices)


def of_engine(word: str) -> bool:
    """Whether an override is about how jobs are run, and no value of one."""
    return word.lstrip("+~").startswith(("hydra.", "hydra/", "sweep."))


def _counted(problem: Problem, number: int, total: int) -> Problem:
    """A problem of several jobs, with their number."""
    if number == 1:
        return problem
    return replace(problem, message=f"{problem.message} (in {number:,} of {total:,} jobs)")


def _with_way_out(problems: Sequence[Problem]) -> list[Problem]:
    """The problems, the last with the setting that has the other jobs run."""
    *others, last = problems
    way = "`sweep.skip_invalid=true` leaves such jobs out"
    return [*others, replace(last, hint=f"{last.hint}\n{way}" if last.hint else way)]


def _nothing(where: Sequence[str], found: _Found) -> Problem:
    if found.num_excluded:
        texts = " and ".join(f"`{text}`" for text in where)
        message = f"no job is left: {texts} holds for none of {found.num_excluded:,} combinations"
        return Problem("MF084", "sweep.where", message, "change the condition, or the values")
    message = f"no job is left: all {len(found.left_out):,} combinations have an invalid value"
    return Problem("MF084", "sweep.skip_invalid", message, "correct the values")
