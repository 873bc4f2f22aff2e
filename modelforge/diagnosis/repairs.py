"""repair: a plan whose energies change with depth → overrides that keep them, and what is predicted with these.

One number for the whole init block to blame comes first, since it is easy to read; where that does not do, `mf.solve`
gives each layer its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from modelforge.diagnosis.blame import blamed
from modelforge.diagnosis.changes import Ways, worst
from modelforge.diagnosis.document import Repair
from modelforge.diagnosis.levels import energy_of, levels
from modelforge.planning.plan import Plan
from modelforge.signal.overrides import written
from modelforge.signal.predict import Prediction, predict
from modelforge.signal.retuned import DIGITS, Retuned, retuned, root_mean_square
from modelforge.signal.solve import Direction, solve

DIRECTIONS: Sequence[Direction] = ("forward", "both", "backward")
"""In the order in which they are tried."""
ROUNDS = 4
"""Corrections of the number for a whole block."""
MAX_OVERRIDES = 8


@dataclass(frozen=True, slots=True)
class _Tried:
    """Overrides, and what is predicted with them."""

    overrides: tuple[str, ...]
    after: Prediction
    size: float
    """The logarithm of the largest change of an energy that is left."""
    faultless: bool
    """Whether that is no fault, as far as is predicted."""

    @property
    def steady(self) -> bool:
        """Whether all is predicted, and is no fault."""
        return self.faultless and not self.after.unknown

    @property
    def length(self) -> int:
        return sum(map(len, self.overrides))


def repair(plan: Plan, batch: int, shown: Sequence[str]) -> Repair | str:
    """The shortest overrides with which neither signals nor gradients drift, else what comes nearest; or why none.

    Args:
        plan: The network.
        batch: Examples in a batch.
        shown: Paths of the levels whose energies are given.
    """
    now = _tried(plan, (), predict(plan, batch_size=batch))
    if now.faultless and now.after.unknown:
        path = now.after.unknown[0].path
        return f"what happens from `{path}` on is measured, but not predicted, so that no values are known"
    useful = [each for each in _tries(plan, batch) if each.overrides and (each.size < now.size or now.size == 0)]
    if not useful:
        return "no initial values are known that would keep it: `mf.solve` finds none"
    steady = [each for each in useful if each.steady]
    best = min(steady, key=lambda each: each.length) if steady else min(useful, key=lambda each: each.size)
    if len(best.overrides) > MAX_OVERRIDES:
        return f"`mf.solve` finds {len(best.overrides)} overrides, too many to list"
    nodes = [best.after.by_path[path] for path in shown]
    signals = [node.signal and energy_of(node.signal) for node in nodes]
    gradients = [node.gradient and energy_of(node.gradient) for node in nodes]
    return Repair(
        overrides=best.overrides,
        signal=tuple(one and one.energy for one in signals),
        gradient=tuple(one and one.energy for one in gradients),
        typical_signal=tuple(one and one.typical for one in signals),
        typical_gradient=tuple(one and one.typical for one in gradients),
    )


def _tries(plan: Plan, batch: int) -> Iterator[_Tried]:
    """One number for a whole block, and where that does not do, what `mf.solve` finds."""
    one = _one_number(plan, batch)
    if one is not None:
        yield one
        if one.steady and len(one.overrides) == 1:
            return
    for direction in DIRECTIONS:
        solved = solve(plan, direction, batch_size=batch)
        yield (tried := _tried(plan, solved.overrides, solved.after))
        if tried.steady:
            return


def _tried(plan: Plan, overrides: tuple[str, ...], after: Prediction) -> _Tried:
    change = worst(plan, levels(plan, after, None))
    return _Tried(overrides, after, change.size if change else 0.0, change is None or not change.drifts)


def _one_number(plan: Plan, batch: int) -> _Tried | None:
    """One number for all weights of the block to blame; None where that has none, or nothing is predicted."""
    factors: dict[str, float] = {}
    tried: _Tried | None = None
    current = plan
    for _ in range(ROUNDS):
        ways = Ways(current, levels(current, predict(current, batch_size=batch), None))
        change = next(iter(ways.changes), None)
        blame = None if change is None else blamed(plan, change, ways)
        if change is None or blame is None or (tried is not None and not change.drifts):
            break
        if factors and blame.rule.key not in factors:
            break  # one number does not do
        factors[blame.rule.key] = factor = factors.get(blame.rule.key, 1.0) * blame.factor**-0.5
        sizes = {weight.path: root_mean_square(weight) for weight in blame.weights}
        made = [retuned(weight, factor * size, DIGITS) for weight in blame.weights if (size := sizes[weight.path])]
        changes = [one for one in made if one is not None]
        if not changes or len(changes) < len(blame.weights):
            return None
        current = _with(plan, changes)
        after = predict(current, batch_size=batch)
        tried = _tried(current, tuple(map(str, written(plan, changes).settings)), after)
    return tried


def _with(plan: Plan, changes: Sequence[Retuned]) -> Plan:
    after = {change.before.path: change.after for change in changes}
    return replace(plan, parameters=tuple(after.get(one.path, one) for one in plan.parameters))
