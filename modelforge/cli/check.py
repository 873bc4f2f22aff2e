"""check: one config, or every combination that a folder offers → what is wrong with each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.cli.answer import Answer, progress
from modelforge.config import compose, default_conf, options
from modelforge.errors import ForgeError, Problem
from modelforge.plan import Plan, plan
from modelforge.report.problems import problem_text, problems_text
from modelforge.report.table import new_table
from modelforge.report.words import count, plural
from modelforge.spec import parse

MAX_LABELS = 3
"""Combinations that are named where a problem is in several of them."""


@dataclass(frozen=True)
class Finding:
    """What checking one config found."""

    overrides: tuple[str, ...]
    plan: Plan | None
    problems: tuple[Problem, ...]

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return self.plan.warnings if self.plan else ()

    @property
    def label(self) -> str:
        """The overrides in words."""
        return " ".join(self.overrides) or "the config"

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        return {
            "overrides": list(self.overrides),
            "ok": not self.problems,
            "num_parameters": self.plan.num_parameters if self.plan else None,
            "problems": [problem.to_dict() for problem in self.problems],
            "warnings": [warning.to_dict() for warning in self.warnings],
        }


def check(conf: Path | None, overrides: Sequence[str], *, every: bool) -> Answer:
    """Plans one config, or every `model` with every `init` and every `experiment`, and gathers what is wrong.

    Args:
        conf: The folder; None for the default one.
        overrides: Hydra overrides; with `every` they apply to all combinations, and a group that they choose is fixed.
        every: Whether to check all combinations.

    Raises:
        ForgeError: there is no such folder.
    """
    conf = conf if conf is not None else default_conf()
    if not every:
        finding = examine(conf, overrides)
        return _answer([finding], _one(finding))
    combinations = list(_combinations(conf, overrides))
    findings = [examine(conf, combination) for combination in progress(combinations, "checking")]
    return _answer(findings, _many(findings))


def examine(conf: Path, overrides: Sequence[str]) -> Finding:
    """Composes, parses and plans one config."""
    try:
        decided = plan(parse(compose(conf, overrides)))
    except ForgeError as error:
        return Finding(tuple(overrides), None, error.problems)
    return Finding(tuple(overrides), decided, ())


def _answer(findings: list[Finding], text: RenderableType) -> Answer:
    ok = not any(finding.problems for finding in findings)
    data = {"ok": ok, "checked": [finding.to_dict() for finding in findings]}
    return Answer(data, text, status=0 if ok else 1)


def _combinations(conf: Path, overrides: Sequence[str]) -> Iterable[tuple[str, ...]]:
    chosen = {override.partition("=")[0] for override in overrides}
    axes = [_options(conf, group) if group not in chosen else () for group in ("model", "init")]
    for model, init in product(*([f"{option}" for option in axis] or [""] for axis in axes)):
        yield *filter(None, (model, init)), *overrides
    if not chosen & {"model", "init", "experiment"}:
        for experiment in _options(conf, "experiment"):
            yield experiment, *overrides


def _options(conf: Path, group: str) -> tuple[str, ...]:
    if not (conf / group).is_dir():
        return ()
    return tuple(f"{group}={option}" for option in options(conf, group))


# --- text -------------------------------------------------------------------------------------------------------------


def _one(finding: Finding) -> RenderableType:
    if finding.plan is None:
        return Group(problems_text(finding.problems), Text(), Text(plural(len(finding.problems), "problem"), "bold red"))
    size = plural(finding.plan.num_parameters, "parameter")
    tensors = plural(len(finding.plan.parameters), "tensor")
    ok = Text.assemble(("ok", "bold green"), f": {size} in {tensors}, each with one rule")
    if not finding.warnings:
        return ok
    ok.append(f"; {plural(len(finding.warnings), 'warning')}")
    return Group(problems_text(finding.warnings), Text(), ok)


def _many(findings: list[Finding]) -> RenderableType:
    parts: list[RenderableType] = [_grid(findings)]
    shared: dict[Problem, list[Finding]] = {}
    for finding in findings:
        for problem in finding.problems:
            shared.setdefault(problem, []).append(finding)
    for problem, where in shared.items():
        text = problem_text(problem)
        text.append(f"\n   = in {_labels(where, len(findings))}", "blue")
        parts += [Text(), text]
    bad = sum(bool(finding.problems) for finding in findings)
    warned = [finding for finding in findings if finding.warnings]
    summary = Text.assemble(
        f"{count(len(findings))} checked: ",
        (f"{count(len(findings) - bad - len(warned))} ok", "green"),
        ", ",
        (f"{count(len(warned))} with warnings", "yellow" if warned else ""),
        ", ",
        (f"{count(bad)} with problems", "bold red" if bad else ""),
    )
    parts += [Text(), summary]
    if warned:
        parts.append(Text(f"to read the warnings: modelforge check {warned[0].label}", "dim"))
    return Group(*parts)


def _grid(findings: list[Finding]) -> RenderableType:
    """One line an init, one column a model; below it what has only one name."""
    pairs = {finding.overrides[:2]: finding for finding in findings if _is_pair(finding)}
    models = list(dict.fromkeys(model for model, _ in pairs))
    inits = list(dict.fromkeys(init for _, init in pairs))
    single = [finding for finding in findings if not _is_pair(finding)]
    parts: list[RenderableType] = []
    if pairs:
        table = new_table()
        table.add_column("", overflow="fold")
        for model in models:
            table.add_column(model.partition("=")[2], overflow="fold")
        for init in inits:
            table.add_row(init.partition("=")[2], *(_verdict(pairs[model, init]) for model in models))
        parts.append(table)
    if single:
        table = new_table(show_header=False, box=None)
        for finding in single:
            table.add_row(finding.label, _verdict(finding))
        parts += [Text()] * bool(parts) + [table]
    return Group(*parts)


def _is_pair(finding: Finding) -> bool:
    model, init = (*finding.overrides, "", "")[:2]
    return model.startswith("model=") and init.startswith("init=")


def _verdict(finding: Finding) -> Text:
    if finding.problems:
        return Text(plural(len(finding.problems), "error"), "bold red")
    return Text(f"{len(finding.warnings)} warn", "yellow") if finding.warnings else Text("ok", "green")


def _labels(where: list[Finding], total: int) -> str:
    """Which combinations, in a few words."""
    if len(where) == total:
        return "all of them" if total > 1 else where[0].label
    labels = [finding.label for finding in where]
    more = f", and {len(labels) - MAX_LABELS} more" if len(labels) > MAX_LABELS else ""
    return ", ".join(labels[:MAX_LABELS]) + more
