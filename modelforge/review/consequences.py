"""consequences: two plans and their difference → what follows for costs, initial values and old checkpoints."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelforge.core.errors import Problem
from modelforge.linting.lint import Linted, examine
from modelforge.linting.subject import Training, Unknown
from modelforge.planning.plan import Plan
from modelforge.review.affected import Composition
from modelforge.review.costs import Costs, costs
from modelforge.review.model_changes import Changes
from modelforge.review.old_checkpoint import OldCheckpoint, old_checkpoint
from modelforge.review.pairing import paired
from modelforge.review.signals import SignalChange, signal_changes
from modelforge.review.starts import Starts, starts
from modelforge.signal.memory import Runs
from modelforge.signal.predict import Prediction, predict

TrainingOf = Callable[[Mapping[str, Any]], Training | None]
"""Composed values → what lint rules may know of the training."""
_NUMBER = re.compile(r"\d[\d,.]*(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Consequences:
    """What follows from the difference of two plans."""

    costs: Costs | None
    """None where no layer differs."""
    starts: Starts
    checkpoint: OldCheckpoint
    new_findings: tuple[Problem, ...]
    """Warnings and notes about the new side that the old one does not give."""
    old_findings: tuple[Problem, ...]
    """Warnings and notes about the old side that the new one, which was judged, does not give."""
    unjudged_findings: tuple[Problem, ...] = ()
    """Those of rules that could not judge all of the new side: they may be true of it."""
    unknown: Unknown | None = None
    """From where on nothing is predicted of the new side, where more was predicted of the old one."""
    signal: tuple[SignalChange, ...] = ()
    """Layers whose predicted signal or gradient differs."""

    def to_dict(self) -> dict[str, Any]:
        """The consequences as plain data."""
        return {
            "costs": self.costs.to_dict() if self.costs else None,
            "initial_values": self.starts.to_dict(),
            "old_checkpoint": self.checkpoint.to_dict(),
            "new_findings": [problem.to_dict() for problem in self.new_findings],
            "old_findings": [problem.to_dict() for problem in self.old_findings],
            "unjudged_findings": [problem.to_dict() for problem in self.unjudged_findings],
            "unpredicted": self.unknown and self.unknown.words,
            "signal": [change.to_dict() for change in self.signal],
        }


class Known:
    """The consequences in many compositions; of equal models that are trained alike once.

    Args:
        training: Composed values → what lint rules may know of the training.
    """

    def __init__(self, training: TrainingOf = lambda values: None) -> None:
        self._training = training
        self._known: dict[tuple[Any, ...], Consequences] = {}
        self._runs: Runs = {}

    def __call__(self, old: Composition, new: Composition, changes: Changes) -> Consequences | None:
        """What follows from the difference of two compositions' plans; None where a side has none."""
        before, after = old.decided, new.decided
        if not (isinstance(before, Plan) and isinstance(after, Plan)):
            return None
        trained = self._training(old.values), self._training(new.values)
        key = (old.planned, new.planned, trained)
        if key not in self._known:
            self._known[key] = consequences(before, after, changes, self._runs, trained)
        return self._known[key]


def consequences(
    old: Plan,
    new: Plan,
    changes: Changes,
    runs: Runs | None = None,
    trained: tuple[Training | None, Training | None] = (None, None),
) -> Consequences:
    """What follows from the difference of two plans.

    Args:
        old: The plan of the old side.
        new: The plan of the new side.
        changes: What differs between them.
        runs: What layers of other plans saved; see `memory`.
        trained: How both sides are trained.
    """
    pairs = paired(old, new)
    before, after = (examine(side, training) for side, training in zip((old, new), trained, strict=True))
    gone = _without(_findings(before), _findings(after))
    unjudged = [problem for problem in gone if problem.code in after.unjudged]
    predicted, expected = predict(old), predict(new)
    return Consequences(
        costs(old, new, pairs, runs) if changes.layers else None,
        starts(old, new, changes),
        old_checkpoint(old, new, pairs),
        new_findings=tuple(_without(_findings(after), _findings(before))),
        old_findings=tuple(problem for problem in gone if problem not in unjudged),
        unjudged_findings=tuple(unjudged),
        unknown=_lost(predicted, expected, pairs.layers),
        signal=signal_changes(predicted, expected, pairs.layers),
    )


def _lost(old: Prediction, new: Prediction, layers: Mapping[str, str]) -> Unknown | None:
    """From where on nothing is predicted of the new side; None where that was so before."""
    known = {node.path for node in old.nodes if node.signal is not None}
    if not any(layers.get(node.path, node.path) in known for node in new.unknown):
        return None
    return Unknown.of(new, {"signal"})


def _without(some: Sequence[Problem], others: Sequence[Problem]) -> list[Problem]:
    """The problems that the others do not hold, each of which stands for one: wherever they are written, and of notes
    whatever numbers they name, which differ with every edit."""
    left, known = [*some], [*others]
    for meaning in (_text, _words, _subject):
        left, known = _unmatched(left, known, meaning), _unmatched(known, left, meaning)
    return left


def _unmatched(some: Sequence[Problem], others: Sequence[Problem], meaning: Callable[[Problem], str]) -> list[Problem]:
    waiting = Counter(map(meaning, others))
    found: list[Problem] = []
    for problem in some:
        if waiting[meaning(problem)]:
            waiting[meaning(problem)] -= 1
        else:
            found.append(problem)
    return found


def _text(problem: Problem) -> str:
    return f"{problem.code} {problem.key} {problem.message}"


def _words(problem: Problem) -> str:
    return _NUMBER.sub("#", _text(problem)) if problem.severity == "note" else _text(problem)


def _subject(problem: Problem) -> str:
    return f"{problem.code} {problem.key}" if problem.severity == "note" else _text(problem)


def _findings(found: Linted) -> tuple[Problem, ...]:
    return (*found.planned, *found.problems)
