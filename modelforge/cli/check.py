"""check: one config, or every combination that a folder offers → what is wrong with each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from modelforge.cli.answer import Answer, console, progress
from modelforge.cli.changed import changed_since
from modelforge.cli.output import FINDINGS, check_output, form_of, written
from modelforge.config.compose import Config, compose
from modelforge.config.composition import Library
from modelforge.config.folder import default_conf, groups, options, own_conf
from modelforge.config.sweeps import compose_jobs, has_params, read_sweep
from modelforge.core.codes import CODES
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import listed, printable
from modelforge.core.words import plural
from modelforge.inits.base import NOTHING_TO_COUNT
from modelforge.language import parse
from modelforge.linting.lint import findings
from modelforge.planning.plan import Plan, plan
from modelforge.planning.study import Studies
from modelforge.report.annotations import Annotation
from modelforge.report.formats import FORMATS
from modelforge.report.problems import alike, problem_text, problems_text
from modelforge.report.table import new_table

Looked = tuple[Plan, str, tuple[Problem, ...]]
"""The plan of a config, what was not checked, and warnings about its training."""
MAX_JOBS = 32
"""Jobs of a config's own sweep that are planned."""
MAX_LABELS = 3
"""Combinations that are named where a problem is in several of them."""


@dataclass(frozen=True)
class Finding:
    """What checking one config found."""

    choice: tuple[str, ...]
    """What sets it apart from the others that were checked with it, as overrides."""
    overrides: tuple[str, ...]
    """All overrides, the choice included."""
    num_parameters: int | None
    """None where nothing can be planned."""
    num_tensors: int
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    note: str = ""
    """What was not checked, and why."""

    @property
    def applies(self) -> bool:
        """False where the init is for networks of another kind, and nothing else is wrong."""
        return not self.problems or any(problem.code != NOTHING_TO_COUNT for problem in self.problems)

    @property
    def label(self) -> str:
        """The choice in words."""
        return " ".join(self.choice) or "the config"

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        return {
            "overrides": list(self.overrides),
            "ok": not self.problems,
            "applies": self.applies,
            "num_parameters": self.num_parameters,
            "problems": [problem.to_dict() for problem in self.problems],
            "warnings": [warning.to_dict() for warning in self.warnings],
            "note": self.note,
        }


def check(
    conf: Path | None,
    overrides: Sequence[str],
    *,
    every: bool,
    base_ref: str | None = None,
    form: str | None = None,
    output: Path | None = None,
) -> Answer:
    """Plans one config and checks how it trains, or plans every `model` with every `init` and every `experiment`.

    Args:
        conf: The folder; None for the default one.
        overrides: Hydra overrides; with `every` they apply to all combinations, and a group that they choose is fixed.
        every: Whether to check all combinations.
        base_ref: Only configs that read a file that differs from this revision are checked; None for all.
        form: `text`, `json` or a name of `FORMATS`; None for the form that the ending of the file stands for.
        output: A file to write; None for the standard output.

    Raises:
        ForgeError: there is no such folder, git does not know the revision, or the file cannot be written.
    """
    name = form or form_of(output, FINDINGS)
    check_output(output)
    changed = changed_since(base_ref, conf) if base_ref is not None else None
    folder = conf or (own_conf() if every else default_conf())
    examination = Examination(folder, overrides, look=None if every else _with_settings)
    chosen = choices(folder, overrides) if every else [()]
    if changed is not None:
        chosen = [choice for choice in chosen if changed.touch((*choice, *overrides), examination.library)]
    findings = [examination.of(choice) for choice in progress(chosen, "checking")]
    if not findings:
        said = f"nothing to check: no config reads a file that differs from `{base_ref}`"
        made = Answer({"ok": True, "checked": []}, Text(said))
    else:
        made = answer(findings, every=every)
    return shaped(made, findings, name, folder, output)


def shaped(made: Answer, findings: Sequence[Finding], form: str, folder: Path, output: Path | None) -> Answer:
    """An answer about findings in another form than text, and in a file.

    Args:
        made: The answer, as data and as text.
        findings: What it says.
        form: `text`, `json` or a name of `FORMATS`.
        folder: The config folder.
        output: A file to write; None for the standard output.

    Raises:
        ForgeError: the file cannot be written.
    """
    if form in FORMATS:
        made = replace(made, text=FORMATS[form](_annotations(findings), CODES, folder.as_posix()))
    elif form == "json":
        made = replace(made, text=json.dumps(made.data, indent=2) + "\n")
    return made if output is None else written(made, output, f"{len(findings)} checked: {output}")


def _annotations(findings: Sequence[Finding]) -> list[Annotation]:
    """All problems and warnings, equal ones of several configs once."""
    apart = [finding for finding in findings if finding.applies or len(findings) == 1]
    found = [problem for finding in apart for problem in (*finding.problems, *finding.warnings)]
    return [Annotation.of(problem) for problem in dict.fromkeys(found)]


def _planned(config: Config, studies: Studies) -> Looked:
    return plan(parse(config), studies), "", ()


@dataclass(frozen=True)
class Examination:
    """What several configs are checked with."""

    conf: Path
    overrides: Sequence[str]
    """Of all of them."""
    planned: Callable[[Config, Studies], Looked] = _planned
    """How a job of a sweep is looked at."""
    look: Callable[[Config, Studies], Looked] | None = None
    """How the config itself is, if otherwise."""
    library: Library = field(default_factory=Library)
    studies: Studies = field(default_factory=Studies)

    def of(self, choice: tuple[str, ...] = ()) -> Finding:
        """Composes and looks at one config, the one of a choice."""
        every = (*choice, *self.overrides)
        try:
            config = compose(self.conf, every, library=self.library)
            decided, note, found = (self.look or self.planned)(config, self.studies)
            note = "; ".join(filter(None, (note, self._jobs(config, every))))
        except ForgeError as error:
            return Finding(choice, every, None, 0, error.problems)
        return Finding(
            choice, every, decided.num_parameters, len(decided.parameters), (), (*found, *findings(decided)), note
        )

    def _jobs(self, config: Config, overrides: Sequence[str]) -> str:
        """Plans the jobs that a file's `hydra.sweeper.params` ask for, and says how many.

        Raises:
            ForgeError: one of them cannot be planned.
        """
        if not has_params(config):
            return ""
        sweep = read_sweep(self.conf, overrides)
        problems: dict[Problem, None] = {}
        configs = compose_jobs(sweep, self.conf, MAX_JOBS, self.library)
        for job in configs:
            try:
                self.planned(job, self.studies)
            except ForgeError as error:
                problems |= dict.fromkeys(sweep.blame(problem) for problem in error.problems)
        if problems:
            raise ForgeError(problems)
        return f"{len(configs)} of the {plural(sweep.num_jobs, 'job')} that it asks for with `-m` were checked too"


def _with_settings(config: Config, studies: Studies) -> Looked:
    if not config.values.keys() & {"optimizer", "trainer"}:
        return plan(parse(config), studies), "", ()
    if find_spec("lightning") is None:
        note = "the training settings were not checked: that takes `pip install modelforge[train]`"
        return plan(parse(config), studies), note, ()
    from modelforge.train.prepare import prepare

    job = prepare(config, studies)
    return job.plan, "", job.warnings


def answer(findings: Sequence[Finding], *, every: bool) -> Answer:
    """What was found, as data and as text."""
    text = _many(findings) if every else _one(findings[0])
    # Of several, those that an init is not meant for are no mistakes; if one is all that was asked for, it is.
    ok = not any(finding.problems and (finding.applies or len(findings) == 1) for finding in findings)
    data = {"ok": ok, "checked": [finding.to_dict() for finding in findings]}
    return Answer(data, text, status=0 if ok else 1)


def choices(conf: Path, overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """Every model with every init, and every experiment, in folders of folders too; a chosen group is fixed."""
    return list(_choices(conf, overrides))


def _choices(conf: Path, overrides: Sequence[str]) -> Iterable[tuple[str, ...]]:
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


# --- text -------------------------------------------------------------------------------------------------------------


def _one(finding: Finding) -> RenderableType:
    if finding.num_parameters is None:
        return Group(
            problems_text(finding.problems), Text(), Text(plural(len(finding.problems), "problem"), "bold red")
        )
    size = plural(finding.num_parameters, "parameter")
    tensors = plural(finding.num_tensors, "tensor")
    ok = Text.assemble(("ok", "bold green"), f": {size} in {tensors}, each with one rule")
    last = [Text(printable(finding.note), "yellow")] if finding.note else []
    if not finding.warnings:
        return Group(ok, *last)
    ok.append(f"; {plural(len(finding.warnings), 'warning')}")
    return Group(problems_text(finding.warnings), Text(), ok, *last)


def _many(findings: Sequence[Finding]) -> RenderableType:
    parts: list[RenderableType] = [_grid(findings)]
    shared: dict[Problem, list[Finding]] = {}
    elsewhere = [finding for finding in findings if not finding.applies and len(findings) > 1]
    for finding in findings:
        for problem in finding.problems if finding not in elsewhere else ():
            shared.setdefault(problem, []).append(finding)
    for group in alike(shared):
        text = problem_text(*group)
        where = list(dict.fromkeys(finding.label for problem in group for finding in shared[problem]))
        if len(findings) > 1:
            text.append(f"\n   = in {printable(_labels(where, len(findings)))}", "blue")
        parts += [Text(), text]
    bad = sum(bool(finding.problems) for finding in findings) - len(elsewhere)
    warned = [finding for finding in findings if finding.warnings]
    summary = Text.assemble(
        f"{len(findings):,} checked: ",
        (f"{len(findings) - bad - len(warned) - len(elsewhere):,} ok", "green"),
        ", ",
        (f"{len(warned):,} with warnings", "yellow" if warned else ""),
        ", ",
        (f"{bad:,} with problems", "bold red" if bad else ""),
        f", {len(elsewhere):,} not meant for each other" if elsewhere else "",
    )
    alone = [finding for finding in warned if not finding.overrides]  # no command shows more of it
    parts += [part for finding in alone for part in (Text(), problems_text(finding.warnings))]
    parts += [Text(), summary]
    if warned and not alone:
        parts.append(Text(printable(f"to read the warnings: modelforge check {' '.join(warned[0].overrides)}"), "dim"))
    return Group(*parts)


def _grid(findings: Sequence[Finding]) -> RenderableType:
    """One line an init, one column a model; below it what was chosen in one way only."""
    pairs = {finding.choice: finding for finding in findings if len(finding.choice) == 2}
    models = list(dict.fromkeys(model for model, _ in pairs))
    inits = list(dict.fromkeys(init for _, init in pairs))
    parts: list[RenderableType] = []
    for shown in _side_by_side(models, console().width - max(map(len, inits), default=0)):
        table = new_table()
        table.add_column("", no_wrap=True)
        for model in shown:
            table.add_column(model.partition("=")[2], no_wrap=True)
        for init in inits:
            table.add_row(init.partition("=")[2], *(_verdict(pairs[model, init]) for model in shown))
        parts += [Text()] * bool(parts) + [table]
    single = [finding for finding in findings if finding.choice not in pairs]
    if single:
        table = Table.grid(padding=(0, 2, 0, 0))
        for finding in single:
            table.add_row(finding.label, _verdict(finding))
        parts += [Text()] * bool(parts) + [table]
    return Group(*parts)


def _side_by_side(models: Sequence[str], width: int) -> Iterator[list[str]]:
    """As many columns at a time as have room: a name, or `72 warn` below it, and two blanks."""
    shown: list[str] = []
    left = width
    for model in models:
        needed = 2 + max(len(model.partition("=")[2]), len("72 warn"))
        if shown and needed > left:
            yield shown
            shown, left = [], width
        shown.append(model)
        left -= needed
    if shown:
        yield shown


def _verdict(finding: Finding) -> Text:
    if not finding.applies:
        return Text("–", "dim")
    if finding.problems:
        return Text(f"{len(finding.problems)} err", "bold red")
    return Text(f"{len(finding.warnings)} warn", "yellow") if finding.warnings else Text("ok", "green")


def _labels(labels: list[str], total: int) -> str:
    """Which combinations, in a few words."""
    if len(labels) == total:
        return "all of them"
    return listed(labels, MAX_LABELS)
