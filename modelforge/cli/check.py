"""check: one config, or every combination that a folder offers → what is wrong with each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from modelforge.cli.answer import Answer, console, progress
from modelforge.cli.configs import MAX_LABELS, Chosen, shaped, wanted
from modelforge.cli.options import FindingsForm
from modelforge.cli.output import check_output, form_of
from modelforge.config.compose import Config, compose
from modelforge.config.composition import Library
from modelforge.config.folder import default_conf, own_conf
from modelforge.config.sweeps import compose_jobs, has_params, read_sweep
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import listed, printable
from modelforge.core.words import plural
from modelforge.inits.base import NOTHING_TO_COUNT
from modelforge.language import parse
from modelforge.linting.lint import findings
from modelforge.linting.subject import Training
from modelforge.planning.plan import Plan, plan
from modelforge.planning.study import Studies
from modelforge.report.problems import alike, problem_text, problems_text
from modelforge.report.table import new_table

MAX_JOBS = 32
"""Jobs of a config's own sweep that are planned."""


@dataclass(frozen=True)
class Checked(Chosen):
    """What checking one config found."""

    num_parameters: int | None = None
    """None where nothing can be planned."""
    num_tensors: int = 0
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    note: str = ""
    """What was not checked, and why."""

    @property
    def applies(self) -> bool:
        """False where the init is for networks of another kind, and nothing else is wrong."""
        return not self.problems or any(problem.code != NOTHING_TO_COUNT for problem in self.problems)

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
    name = form or form_of(output, FindingsForm)
    check_output(output)
    folder = conf or (own_conf() if every else default_conf())
    examination = Examination(folder, overrides, examine_model if every else _with_settings, examine_model)
    chosen = wanted(conf, overrides, examination.library, every=every, base_ref=base_ref)
    checked = [examination.of(choice) for choice in progress(chosen, "checking")]
    if not checked:
        said = f"nothing to check: no config reads a file that differs from `{base_ref}`"
        return in_form(Answer({"ok": True, "checked": []}, Text(said)), checked, name, folder, output)
    return in_form(answer_of(checked, every=every), checked, name, folder, output)


def in_form(made: Answer, checked: Sequence[Checked], form: str, folder: Path, output: Path | None) -> Answer:
    """An answer in another form than text, and in a file; see `shaped`."""
    apart = [one for one in checked if one.applies or len(checked) == 1]
    problems = [problem for one in apart for problem in (*one.problems, *one.warnings)]
    return shaped(made, problems, form=form, folder=folder, output=output, line=f"{len(checked)} checked")


@dataclass(frozen=True)
class Examined:
    """What there is to say of a config that can be planned."""

    plan: Plan
    note: str = ""
    """What was not checked, and why."""
    warnings: tuple[Problem, ...] = ()
    """About its training."""
    training: Training | None = None
    """What rules of `lint` may know of it."""


Examine = Callable[[Config, Studies], Examined]


def examine_model(config: Config, studies: Studies) -> Examined:
    """The plan of a config, and nothing else."""
    return Examined(plan(parse(config), studies))


@dataclass(frozen=True)
class Examination:
    """What several configs are checked with."""

    conf: Path
    overrides: Sequence[str]
    """Of all of them."""
    examine: Examine
    """What is done with a config,"""
    examine_job: Examine
    """and with each job of a sweep that it asks for."""
    library: Library = field(default_factory=Library)
    studies: Studies = field(default_factory=Studies)

    def of(self, choice: tuple[str, ...] = ()) -> Checked:
        """Composes and examines one config, the one of a choice."""
        every = (*choice, *self.overrides)
        try:
            config = compose(self.conf, every, library=self.library)
            examined = self.examine(config, self.studies)
            note = "; ".join(filter(None, (examined.note, self._jobs(config, every))))
        except ForgeError as error:
            return Checked(choice, every, problems=error.problems)
        return Checked(
            choice,
            every,
            num_parameters=examined.plan.num_parameters,
            num_tensors=len(examined.plan.parameters),
            warnings=(*examined.warnings, *findings(examined.plan, examined.training)),
            note=note,
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
                self.examine_job(job, self.studies)
            except ForgeError as error:
                problems |= dict.fromkeys(sweep.blame(problem) for problem in error.problems)
        if problems:
            raise ForgeError(problems)
        return f"{len(configs)} of the {plural(sweep.num_jobs, 'job')} that it asks for with `-m` were checked too"


def _with_settings(config: Config, studies: Studies) -> Examined:
    if not config.values.keys() & {"optimizer", "trainer"}:
        return examine_model(config, studies)
    if find_spec("lightning") is None:
        note = "the training settings were not checked: that takes `pip install modelforge[train]`"
        return replace(examine_model(config, studies), note=note)
    from modelforge.train.prepare import prepare
    from modelforge.train.settings import training_of

    job = prepare(config, studies)
    return Examined(job.plan, warnings=job.warnings, training=training_of(config.values))


def answer_of(checked: Sequence[Checked], *, every: bool) -> Answer:
    """What was found, as data and as text."""
    text = _many(checked) if every else _one(checked[0])
    # Of several, those that an init is not meant for are not mistakes; if one is all that was asked for, it is.
    ok = not any(one.problems and (one.applies or len(checked) == 1) for one in checked)
    data = {"ok": ok, "checked": [one.to_dict() for one in checked]}
    return Answer(data, text, status=0 if ok else 1)


# --- text -------------------------------------------------------------------------------------------------------------


def _one(one: Checked) -> RenderableType:
    if one.num_parameters is None:
        return Group(problems_text(one.problems), Text(), Text(plural(len(one.problems), "problem"), "bold red"))
    size = plural(one.num_parameters, "parameter")
    tensors = plural(one.num_tensors, "tensor")
    ok = Text.assemble(("ok", "bold green"), f": {size} in {tensors}, each with one rule")
    last = [Text(printable(one.note), "yellow")] if one.note else []
    if not one.warnings:
        return Group(ok, *last)
    ok.append(f"; {plural(len(one.warnings), 'warning')}")
    return Group(problems_text(one.warnings), Text(), ok, *last)


def _many(checked: Sequence[Checked]) -> RenderableType:
    elsewhere = [one for one in checked if not one.applies and len(checked) > 1]
    parts: list[RenderableType] = [_grid(checked)]
    for text in _shared([one for one in checked if one not in elsewhere], len(checked)):
        parts += [Text(), text]
    bad = sum(bool(one.problems) for one in checked) - len(elsewhere)
    warned = [one for one in checked if one.warnings]
    summary = Text.assemble(
        f"{len(checked):,} checked: ",
        (f"{len(checked) - bad - len(warned) - len(elsewhere):,} ok", "green"),
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


def _shared(checked: Sequence[Checked], num_checked: int) -> Iterator[Text]:
    """Each problem once, with the configs that have it."""
    holders: dict[Problem, list[Checked]] = {}
    for one in checked:
        for problem in one.problems:
            holders.setdefault(problem, []).append(one)
    for group in alike(holders):
        text = problem_text(*group)
        if num_checked > 1:
            where = list(dict.fromkeys(one.label for problem in group for one in holders[problem]))
            text.append(f"\n   = in {printable(_labels(where, num_checked))}", "blue")
        yield text


def _grid(checked: Sequence[Checked]) -> RenderableType:
    """One line an init, one column a model; below it what was chosen in one way only."""
    pairs = {one.choice: one for one in checked if len(one.choice) == 2}
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
        parts += [Text(), table] if parts else [table]
    single = [one for one in checked if one.choice not in pairs]
    if single:
        table = Table.grid(padding=(0, 2, 0, 0))
        for one in single:
            table.add_row(one.label, _verdict(one))
        parts += [Text(), table] if parts else [table]
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


def _verdict(one: Checked) -> Text:
    if not one.applies:
        return Text("–", "dim")
    if one.problems:
        return Text(f"{len(one.problems)} err", "bold red")
    return Text(f"{len(one.warnings)} warn", "yellow") if one.warnings else Text("ok", "green")


def _labels(labels: list[str], total: int) -> str:
    """Which combinations, in a few words."""
    if len(labels) == total:
        return "all of them"
    return listed(labels, MAX_LABELS)
