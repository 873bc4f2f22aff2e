"""lint: one config, or every combination that a folder offers → findings about how each network starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.cli.answer import Answer, progress
from modelforge.cli.configs import MAX_LABELS, Chosen, shaped, wanted
from modelforge.cli.options import FindingsForm
from modelforge.cli.output import check_output, form_of
from modelforge.config.compose import compose
from modelforge.config.composition import Library
from modelforge.config.folder import default_conf, own_conf
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.quoting import listed, printable
from modelforge.core.suggestions import did_you_mean
from modelforge.core.words import plural
from modelforge.inits.base import NOTHING_TO_COUNT
from modelforge.language import parse
from modelforge.linting.lint import Linted, examine
from modelforge.linting.rule import RULES, LintRule
from modelforge.planning.plan import plan
from modelforge.planning.study import Studies
from modelforge.report.problems import problem_text, problems_text
from modelforge.train.settings import training_of

RANK: Mapping[str, int] = {"note": 0, "warning": 1, "error": 2}


@dataclass(frozen=True)
class LintedConfig(Chosen):
    """What linting one config found."""

    problems: tuple[Problem, ...] = ()
    """What stops planning, or all findings."""
    linted: Linted | None = None
    """None where the config cannot be planned."""

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        ignored = self.linted.ignored if self.linted is not None else ()
        return {
            "overrides": list(self.overrides),
            "planned": self.linted is not None,
            "findings": [{**problem.to_dict(), "count": problem.num} for problem in self.problems],
            "ignored": [one.to_dict() for one in ignored],
            "unjudged": {code: one.words for code, one in self.linted.unjudged.items()} if self.linted else {},
        }


def lint(
    conf: Path | None,
    overrides: Sequence[str],
    *,
    every: bool,
    rules: Sequence[str] = (),
    base_ref: str | None = None,
    form: str | None = None,
    fail_on: str = "error",
    output: Path | None = None,
) -> Answer:
    """Applies the lint rules to one config, or to every `model` with every `init` and every `experiment`.

    Args:
        conf: The folder; None for the default one.
        overrides: Hydra overrides; with `every` they apply to all combinations.
        every: Whether to look at all combinations.
        rules: Codes of the rules to apply, and of the warnings of planning to show; empty for all.
        base_ref: Only configs that read a file that differs from this revision; None for all.
        form: `text`, `json` or a name of `FORMATS`; None for the form that the ending of the file stands for.
        fail_on: The least severity that makes the status 1.
        output: A file to write; None for the standard output.

    Raises:
        ForgeError: no rule has such a code, there is no such folder, git does not know the revision, or the file
            cannot be written.
    """
    name = form or form_of(output, FindingsForm)
    check_output(output)
    chosen_rules = _applied(rules) or None
    folder = conf or (own_conf() if every else default_conf())
    library, studies = Library(), Studies()
    chosen = wanted(conf, overrides, library, every=every, base_ref=base_ref)
    found = [
        _linted(folder, choice, overrides, chosen_rules, library, studies) for choice in progress(chosen, "linting")
    ]
    # Of several, those that an init is not meant for are not mistakes; if one is all that was asked for, it is.
    left_out = [finding for finding in found if len(found) > 1 and _unmeant(finding)]
    found = _without_needed(finding for finding in found if finding not in left_out)
    made = _answer(found, left_out, fail_on, base_ref)
    problems = [problem for finding in found for problem in finding.problems]
    line = f"{plural(len(found), 'config')} linted"
    return shaped(made, problems, form=name, folder=folder, output=output, line=line)


def _applied(codes: Sequence[str]) -> list[LintRule]:
    """The rules of some codes.

    Raises:
        ForgeError: a code is not a rule's, or that of a rule which is no longer applied.
    """
    problems: list[Problem] = []
    for code in codes:
        if code not in RULES:
            near = did_you_mean(code, RULES.names())
            hint = f"{near} " if near else ""
            hint += "`modelforge list rules` prints all of them"
            problems.append(Problem("MF080", code, f"unknown lint rule `{code}`", hint))
        elif retired := RULES.get(code).retired:
            message = f"the rule `{code}` is no longer applied: {retired}"
            problems.append(Problem("MF080", code, message, f"`modelforge list rules {code}` shows its page"))
    if problems:
        raise ForgeError(problems)
    return [RULES.get(code) for code in codes]


def _linted(
    folder: Path,
    choice: tuple[str, ...],
    overrides: Sequence[str],
    rules: Iterable[LintRule] | None,
    library: Library,
    studies: Studies,
) -> LintedConfig:
    """Composes, plans and lints one config."""
    every = (*choice, *overrides)
    try:
        config = compose(folder, every, library=library)
        decided = plan(parse(config), studies)
    except ForgeError as error:
        return LintedConfig(choice, every, error.problems)
    linted = examine(decided, training_of(config.values), rules)
    return LintedConfig(choice, every, (*linted.planned, *linted.problems), linted)


def _unmeant(finding: LintedConfig) -> bool:
    """Whether the init is for networks of another kind, and nothing else is wrong."""
    return bool(finding.problems) and all(problem.code == NOTHING_TO_COUNT for problem in finding.problems)


def _without_needed(configs: Iterable[LintedConfig]) -> list[LintedConfig]:
    """The findings without those about an entry of `lint.ignore` that another config needs."""
    every = list(configs)
    needed: set[Place | None] = set()
    for finding in every:
        needed |= finding.linted.needed if finding.linted is not None else frozenset()
    last = {code for code, rule in RULES.entries() if rule.last}
    return [
        replace(finding, problems=tuple(it for it in finding.problems if it.code not in last or it.place not in needed))
        for finding in every
    ]


def _answer(
    configs: Sequence[LintedConfig], left_out: Sequence[LintedConfig], fail_on: str, base_ref: str | None
) -> Answer:
    problems = [problem for finding in configs for problem in finding.problems]
    failed = any(RANK[problem.severity] >= RANK[fail_on] for problem in problems)
    data = {
        "ok": not failed,
        "linted": [finding.to_dict() for finding in configs],
        "left_out": [list(finding.overrides) for finding in left_out],
    }
    if configs:
        text = _one(configs[0]) if len(configs) == 1 else _many(configs)
    else:
        why = "" if left_out else f": no config reads a file that differs from `{base_ref}`"
        text = Text(f"nothing to lint{why}")
    if left_out:
        text = Group(text, _left_out(left_out))
    return Answer(data, text, status=1 if failed else 0)


# --- text -------------------------------------------------------------------------------------------------------------


def _one(finding: LintedConfig) -> RenderableType:
    shown: list[RenderableType] = [problems_text(finding.problems), Text()] if finding.problems else []
    return Group(*shown, _summary([finding]), *_unjudged(finding))


def _unjudged(finding: LintedConfig) -> Iterator[Text]:
    """From which layer on nothing is predicted, and which rules could not look there."""
    codes: dict[str, list[str]] = {}
    for code, unknown in finding.linted.unjudged.items() if finding.linted is not None else ():
        codes.setdefault(unknown.words, []).append(code)
    for words, every in codes.items():
        yield Text(printable(f"{words}: {', '.join(every)} could not look there"), "yellow")


def _many(configs: Sequence[LintedConfig]) -> RenderableType:
    """One block a code and statement, severest first: the first finding, and how many configs have one like it."""
    groups: dict[tuple[str, str], dict[Problem, list[str]]] = {}
    for finding in configs:
        for problem in finding.problems:
            group = groups.setdefault((problem.code, problem.hint), {})
            group.setdefault(problem, []).append(finding.label)
    parts: list[RenderableType] = []
    for group in sorted(groups.values(), key=_rank):
        text = problem_text(next(iter(group)))
        labels = list(dict.fromkeys(label for where in group.values() for label in where))
        like = f"{len(group) - 1:,} more like it, " if len(group) > 1 else ""
        where = "all" if len(labels) == len(configs) else f"{len(labels):,} of {len(configs):,}"
        text.append(f"\n   = {like}in {where} configs: {printable(listed(labels, MAX_LABELS))}", "blue")
        parts += [text, Text()]
    return Group(*parts, _summary(configs))


def _left_out(configs: Sequence[LintedConfig]) -> Text:
    labels = printable(listed([finding.label for finding in configs], MAX_LABELS))
    why = "whose init counts what the model does not have"
    return Text(f"left out: {plural(len(configs), 'config')} {why}: {labels}", "dim")


def _rank(group: Collection[Problem]) -> tuple[int, str]:
    first = next(iter(group))
    return -RANK[first.severity], first.code


def _summary(configs: Sequence[LintedConfig]) -> Text:
    """How much was found, and where to read more."""
    problems = [problem for finding in configs for problem in finding.problems]
    ignored = sum(len(finding.linted.ignored) for finding in configs if finding.linted is not None)
    head = Text(f"{plural(len(configs), 'config')} linted: " if len(configs) > 1 else "")
    count = {severity: sum(problem.severity == severity for problem in problems) for severity in RANK}
    nouns = {"error": "problem", "warning": "warning", "note": "note"}
    said = [plural(count[severity], noun) for severity, noun in nouns.items() if count[severity]]
    said += [f"{ignored} ignored"] if ignored else []
    num_rules = max((finding.linted.num_rules for finding in configs if finding.linted is not None), default=0)
    nothing = f"nothing found by {plural(num_rules, 'rule')}"
    head.append(", ".join(said) or nothing, "" if problems else "green")
    unjudged = sum(bool(finding.linted.unjudged) for finding in configs if finding.linted is not None)
    if unjudged and len(configs) > 1:
        where = plural(unjudged, "config")
        head.append(f"\nin {where}, some layers could not be judged, since nothing is predicted of them", "yellow")
    codes = dict.fromkeys(problem.code for problem in problems if problem.code in RULES)
    if codes:
        head.append(f"\nto read about one: modelforge list rules {next(iter(codes))}", "dim")
    return head
