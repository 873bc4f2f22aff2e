"""apart: two compositions and the edits between them → what each edit does by itself.

An edit's effects are those of the old side with that edit alone. So nothing has to be known of how a value reaches a
layer: through an interpolation, an argument of a block, a scheme that all layers share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from modelforge.config.compose import rewritten
from modelforge.core.errors import ForgeError
from modelforge.language import parse
from modelforge.planning.plan import Plan, plan
from modelforge.review.affected import PLANNED, Composition
from modelforge.review.diff import diff
from modelforge.review.edits import Edit, applied
from modelforge.review.model_changes import Changes
from modelforge.review.values import ValueChange, exact, value_changes

MAX_APART = 16
"""Groups of edits that are planned one by one; more than these count as one group."""
OUTSIDE = ("hydra", "choices")
"""What a composition holds beside the job's values."""

Edits = tuple[Edit, ...]


@dataclass(frozen=True)
class Part:
    """What one group of edits, or several that work only together, does to a composition."""

    groups: tuple[int, ...]
    """Their numbers."""
    values: tuple[ValueChange, ...] = ()
    """The composed values at the edited keys."""
    derived: tuple[ValueChange, ...] = ()
    """Composed values elsewhere that follow."""
    diff: Changes | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing follows."""
        return not (self.values or self.derived or (self.diff and not self.diff.equal))


def apart(
    old: Composition, new: Composition, groups: Sequence[Edits], values: Sequence[ValueChange], whole: Changes | None
) -> list[Part]:
    """What each group of edits does.

    Args:
        old: The composition on the old side.
        new: The same on the new side.
        groups: All edits between them, by cause.
        values: The composed values that differ.
        whole: What differs between the plans; None where they are equal, or a side has none.
    """
    every = tuple(range(len(groups)))
    edits = sum(groups, ())
    follows = [change for change in values if not any(edit.reaches(change.path) for edit in edits)]
    edited = _Edited(old, new, groups, values, follows, whole)
    if len(groups) < 2:
        return [edited.part(every, (), whole)] if groups else []
    if not follows and (whole is None or whole.equal):
        return [edited.part((number,), (), None) for number in every]
    if len(groups) > MAX_APART:
        return [edited.part(every, follows, whole)]
    return list(edited.apart())


def breaking(old: Composition, new: Composition, groups: Sequence[Edits]) -> tuple[int, ...]:
    """The groups of edits each of which leaves the old side without a plan by itself; all where none does."""
    trials = {number: _Trial(old, new, edits, ()) for number, edits in enumerate(groups)}
    alone = [
        number
        for number, trial in trials.items()
        if trial.config is None or (trial.replans and isinstance(old.decided, Plan) and trial.diff() is None)
    ]
    return tuple(alone or trials)


@dataclass(frozen=True)
class _Edited:
    """Two compositions, and all edits between them, in groups."""

    old: Composition
    new: Composition
    groups: Sequence[Edits]
    values: Sequence[ValueChange]
    follows: Sequence[ValueChange]
    """Those of the values that no edit writes."""
    whole: Changes | None

    def part(self, numbers: Sequence[int], derived: Sequence[ValueChange], found: Changes | None) -> Part:
        edits = [edit for number in numbers for edit in self.groups[number]]
        direct = tuple(change for change in self.values if any(edit.reaches(change.path) for edit in edits))
        if len(numbers) == len(self.groups):
            derived = [change for change in self.values if change not in direct]
        return Part(tuple(numbers), direct, tuple(derived), found)

    def apart(self) -> Iterator[Part]:
        """What each group does by itself; then what those do together that have no plan, or what no group explains."""
        trials = [_Trial(self.old, self.new, edits, self.follows) for edits in self.groups]
        failed = [number for number, trial in enumerate(trials) if trial.config is None]
        planned = [number for number, trial in enumerate(trials) if trial.config is not None and trial.replans]
        if self.whole is None or self.whole.equal or not isinstance(self.old.decided, Plan):
            diffs = {}
        elif len(planned) == 1 and not failed:
            diffs = {planned[0]: self.whole}
        else:
            diffs = {number: trials[number].diff() for number in planned}
        failed += [number for number, found in diffs.items() if found is None]
        for number, trial in enumerate(trials):
            if number not in failed:
                yield self.part((number,), trial.derived, diffs.get(number))
        if failed:
            yield self.together(sorted(failed))
            return
        alone = {change.path for trial in trials for change in trial.derived}
        derived = tuple(change for change in self.follows if change.path not in alone)
        rest = self.whole and _without(self.whole, [found for found in diffs.values() if found])
        if derived or (rest is not None and not rest.equal):
            yield Part(tuple(planned) if len(planned) > 1 else tuple(range(len(trials))), (), derived, rest)

    def together(self, numbers: Sequence[int]) -> Part:
        """What groups do that no plan has by themselves: a new argument, and its use."""
        if len(numbers) == len(self.groups):
            return self.part(numbers, self.follows, self.whole)
        trial = _Trial(self.old, self.new, sum((self.groups[number] for number in numbers), ()), self.follows)
        found = trial.diff() if trial.config is not None and isinstance(self.old.decided, Plan) else None
        return self.part(numbers, trial.derived, found or self.whole)


class _Trial:
    """The old side with some of the edits."""

    def __init__(self, old: Composition, new: Composition, edits: Edits, follows: Sequence[ValueChange]) -> None:
        assert old.config is not None
        assert new.config is not None
        self._old = old
        inside = [edit for edit in edits if edit.path[:1] and edit.path[0] not in OUTSIDE]
        raw = applied(old.config.origins.config, inside, new.config.origins.config)
        self.derived: tuple[ValueChange, ...] = ()
        self.replans = False
        try:
            self.config = rewritten(new.config, raw)
        except ForgeError:
            self.config = None
            return
        before, after = old.config.values, self.config.values
        self.replans = any(exact(before.get(name)) != exact(after.get(name)) for name in PLANNED)
        if follows:
            known = {change.path: change for change in follows}
            changed = value_changes(before, after, lambda key: None, lambda key: None)
            self.derived = tuple(replace(known[one.path], new=one.new) for one in changed if one.path in known)

    def diff(self) -> Changes | None:
        """What differs between the plans; None where there is no new plan."""
        old = self._old
        assert isinstance(old.decided, Plan)
        assert self.config is not None
        try:
            return diff(old.decided, plan(parse(self.config), old.studies, read_files=old.read_files))
        except ForgeError:
            return None


def _without(whole: Changes, parts: Sequence[Changes]) -> Changes:
    """What of a difference no part shows."""
    layers = {item.path for part in parts for item in part.layers}
    parameters = {item.path for part in parts for item in part.parameters}
    totals = {change.name for part in parts for change in part.totals}
    return replace(
        whole,
        totals=tuple(change for change in whole.totals if change.name not in totals),
        layers=tuple(item for item in whole.layers if item.path not in layers),
        parameters=tuple(item for item in whole.parameters if item.path not in parameters),
    )
