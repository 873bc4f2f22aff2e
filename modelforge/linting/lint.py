"""lint: a plan → findings about how the network starts: what is legal, but rarely meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelforge.core.errors import Place, Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.shown import Shown
from modelforge.language.model import ModelSpec
from modelforge.linting.ignoring import Ignores
from modelforge.linting.rule import RULES, Found, LintRule, folded
from modelforge.linting.subject import Subject, Training, Unknown
from modelforge.planning.plan import Plan, planned
from modelforge.report.problems import problems_text
from modelforge.report.table import to_text


class Findings(Shown, tuple[Problem, ...]):
    """The findings about a plan; prints as `modelforge lint` does."""

    __slots__ = ()

    def __repr__(self) -> str:
        return tuple.__repr__(self)

    def __str__(self) -> str:
        return to_text(problems_text(self)) if self else "nothing found"


@dataclass(frozen=True, slots=True)
class Ignored:
    """A finding that the model declares to be meant."""

    problem: Problem
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """The finding and the reason as plain data."""
        return {**self.problem.to_dict(), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Linted:
    """What planning and the rules find in one plan."""

    planned: tuple[Problem, ...]
    """The warnings of planning that were asked for."""
    problems: tuple[Problem, ...]
    """The findings of the rules."""
    ignored: tuple[Ignored, ...] = ()
    num_rules: int = 0
    """How many rules were applied."""
    needed: frozenset[Place] = field(default_factory=frozenset[Place])
    """Where the entries of `lint.ignore` are written that a finding needed."""
    unjudged: Mapping[str, Unknown] = FrozenDict()
    """The rules that asked for what is not predicted of some layers, by code: they judged the others alone."""


def lint(plan: ModelSpec | Plan, training: Training | None = None, *, rules: Collection[str] = ()) -> Findings:
    """All findings about how a network starts, warnings and notes; those that `lint.ignore` declares are left out.

    Rules that look at predictions judge no layer of which nothing is predicted; `mf.predict(plan).unknown` names these.
    The warnings of planning are in `plan.warnings`, and among these only where `rules` names them. Findings that are
    equal but for the parameter are one problem, whose `num` counts them.

    Args:
        plan: The plan of the model, or its spec.
        training: How the model is trained, which some rules depend on; they find nothing without it.
        rules: The codes of the rules to apply; empty for all.

    Raises:
        ForgeError: no rule has such a code.
        TypeError: `rules` is a text.

    Example:
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.language import parse
        >>> layers = {"up": {"type": "Linear", "out_features": 8}, "head": {"type": "Linear", "out_features": 2}}
        >>> init = {"scheme": "constant", "value": 0.1}
        >>> decided = plan(parse({"input": {"shape": [4]}, "layers": layers}, init=init))
        >>> [problem.code for problem in lint(decided, rules=["MW101"])]
        ['MW101']
    """
    plan = planned(plan, "lint")
    if isinstance(rules, str):
        raise TypeError(f"lint takes a list of codes, but gets a str: write `rules=[{rules!r}]`")
    found = examine(plan, training, [RULES.get(code) for code in rules] or None)
    return Findings((*(found.planned if rules else ()), *found.problems))


def findings(plan: Plan, training: Training | None = None) -> tuple[Problem, ...]:
    """The warnings of planning and of `lint`, without notes: what `check`, `show` and a training print.

    Rules of notes are not applied, so that no prediction is made.

    Args:
        plan: The plan.
        training: How the model is trained.
    """
    found = examine(plan, training, rules=[rule for _, rule in RULES.entries() if rule.severity == "warning"])
    return (*found.planned, *found.problems)


def examine(plan: Plan, training: Training | None = None, rules: Iterable[LintRule] | None = None) -> Linted:
    """What planning and some rules find in a plan, and what of it is ignored.

    Args:
        plan: The plan.
        training: How the model is trained.
        rules: The rules to apply; None for all.
    """
    ignores = Ignores(plan.lint.ignore)
    subject = Subject(plan, training, ignores)
    kept: dict[Problem, None] = {}
    ignored: dict[Ignored, None] = {}
    shipped = [rule for _, rule in RULES.entries()]
    wanted = shipped if rules is None else [*rules]
    codes = {rule.code for rule in wanted}
    for problem in plan.warnings:
        reason = ignores.reason(problem.code, problem.key.removeprefix("model.layers."))
        if problem.code in codes:
            _put(problem, reason, kept, ignored)
    planned = tuple(kept)
    kept.clear()
    unjudged: dict[str, Unknown] = {}
    # A rule that is applied last depends on what all others find.
    applied = {*wanted, *(shipped if any(rule.last for rule in wanted) else ())}
    for rule in sorted(applied, key=lambda rule: (rule.last, rule.code)):
        by_reason: dict[str | None, list[Found]] = {}
        subject.asked.clear()
        for one in () if rule.retired else rule.find(subject):
            by_reason.setdefault(ignores.reason(rule.code, one.path), []).append(one)
        if subject.asked and (unknown := subject.unknown()) is not None:
            unjudged[rule.code] = unknown
            subject.unjudged.add(rule.code)
        for reason, found in by_reason.items():
            for problem in folded(rule, found) if rule in wanted else ():
                _put(plan.origins.locate(problem), reason, kept, ignored)
    places = (subject.ignored_at(*entry) for entry in ignores.needed)
    needed = frozenset(place for place in places if place is not None)
    return Linted(planned, tuple(kept), tuple(ignored), sum(not rule.retired for rule in wanted), needed, unjudged)


def _put(problem: Problem, reason: str | None, kept: dict[Problem, None], ignored: dict[Ignored, None]) -> None:
    if reason is None:
        kept[problem] = None
    else:
        ignored[Ignored(problem, reason)] = None
