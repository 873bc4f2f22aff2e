"""apart: two compositions and the edits between them → what each edit does.

An edit's effects are those of the old side with that edit alone, as far as they hold of the new side, too. So nothing
has to be known of how a value reaches a layer: through an interpolation, an argument of a block, a scheme that all
layers share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelforge.config.compose import rewritten
from modelforge.core.errors import ForgeError
from modelforge.language import parse
from modelforge.planning.plan import Plan, plan
from modelforge.review.affected import PLANNED, Composition
from modelforge.review.diff import diff
from modelforge.review.edits import Edit, applied
from modelforge.review.held import Numbers, held, held_values
from modelforge.review.model_changes import Changes
from modelforge.review.values import ValueChange, exact, value_changes

MAX_APART = 16
"""Groups of edits that are planned one by one; more than these count as one group."""
OUTSIDE = ("hydra", "choices")
"""What a composition holds beside the job's values."""

Edits = tuple[Edit, ...]


@dataclass(frozen=True)
class Part:
    """What one group of edits, or several that work together, does to a composition."""

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
    if len(groups) < 2:
        return [_part(every, groups, values, (), whole)] if groups else []
    follows = [change for change in values if not any(edit.reaches(change.path) for edit in sum(groups, ()))]
    if not follows and (whole is None or whole.equal):
        return [_part((number,), groups, values, (), None) for number in every]
    if len(groups) > MAX_APART:
        return [_part(every, groups, values, follows, whole)]
    return list(_apart(old, new, groups, values, follows, whole))


def breaking(old: Composition, new: Composition, groups: Sequence[Edits]) -> tuple[int, ...]:
    """The groups of edits each of which leaves the old side without a plan by itself; all where none does."""
    trials = {number: _Trial(old, new, edits, ()) for number, edits in enumerate(groups)}
    before = old.decided
    alone = [
        number
        for number, trial in trials.items()
        if trial.config is None or (trial.replans and isinstance(before, Plan) and trial.diff(before, old) is None)
    ]
    return tuple(alone or trials)


def _part(
    numbers: Sequence[int],
    groups: Sequence[Edits],
    values: Sequence[ValueChange],
    derived: Sequence[ValueChange],
    whole: Any,
) -> Part:
    edits = [edit for number in numbers for edit in groups[number]]
    direct = tuple(change for change in values if any(edit.reaches(change.path) for edit in edits))
    if len(numbers) == len(groups):
        derived = [change for change in values if change not in direct]
    return Part(tuple(numbers), direct, tuple(derived), whole)


def _apart(
    old: Composition,
    new: Composition,
    groups: Sequence[Edits],
    values: Sequence[ValueChange],
    follows: Sequence[ValueChange],
    whole: Changes | None,
) -> Iterator[Part]:
    before = old.decided if whole is not None and not whole.equal else None
    trials: dict[Numbers, _Trial] = {(n,): _Trial(old, new, edits, follows) for n, edits in enumerate(groups)}
    failed = [part for part, trial in trials.items() if trial.config is None]
    planned = [part for part, trial in trials.items() if trial.config is not None and trial.replans]
    diffs: dict[Numbers, Changes | None] = {}
    if isinstance(before, Plan):
        if len(planned) == 1 and not failed:
            diffs[planned[0]] = whole
        else:
            diffs = {part: trials[part].diff(before, old) for part in planned}
            failed += [part for part, found in diffs.items() if found is None]
    if len(failed) == len(groups):
        yield _part(_joined(failed), groups, values, follows, whole)
        return
    if failed:  # what groups do that no plan has by themselves: a new argument, and its use
        part = _joined(failed)
        trials = {one: trial for one, trial in trials.items() if one not in failed}
        trials[part] = trial = _Trial(old, new, sum((groups[number] for number in part), ()), follows)
        diffs[part] = trial.diff(before, old) if trial.config is not None and isinstance(before, Plan) else None
    shown = {part: found for part, found in diffs.items() if found is not None and not found.equal}
    several = failed or (shown if len(shown) > 1 else planned)
    every = _joined(several if len(several) > 1 else trials)
    kept, left = held(whole, shown, every) if isinstance(before, Plan) and whole is not None else (shown, {})
    derived, left_derived = held_values(follows, {part: trial.derived for part, trial in trials.items()}, every)
    for part in trials:
        yield _part(part, groups, values, derived.get(part, ()), kept.get(part))
    for part in dict.fromkeys((*left, *left_derived)):
        yield Part(part, (), tuple(left_derived.get(part, ())), left.get(part))


def _joined(parts: Iterable[Numbers]) -> Numbers:
    return tuple(sorted(number for part in parts for number in part))


class _Trial:
    """The old side with some of the edits."""

    def __init__(self, old: Composition, new: Composition, edits: Edits, follows: Sequence[ValueChange]) -> None:
        assert old.config is not None
        assert new.config is not None
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

    def diff(self, before: Plan, old: Composition) -> Changes | None:
        """What differs between the plans; None where there is no plan."""
        assert self.config is not None
        try:
            return diff(before, plan(parse(self.config), old.studies, read_files=old.read_files))
        except ForgeError:
            return None
