"""cause: the levels of a network → what is most wrong with them, in one sentence, and the init block to blame.

A signal is compared with where it last started: at an input, an embedding or a norm. A gradient is compared with the
one that leaves the network: by its squared length, at the outputs of norms where there are any, since these share one
scale, else at all layers. Between norms, gradients grow somewhat in any deep network, whatever its weights (Yang et al.
2019, arXiv:1902.08129): only a large change counts there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from modelforge.core.errors import Problem
from modelforge.core.words import number, plural
from modelforge.diagnosis.document import Cause, Energy, Level, Severity, Spot, Verdict
from modelforge.diagnosis.levels import weights_of
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan
from modelforge.signal.flow import Leaf, flow
from modelforge.signal.rule import RULES

DRIFT = 1e3
"""The factor on an energy from which on a network drifts: its root mean square changes by a factor of 30."""
LOST = 1e6
"""The factor from which on it vanishes or explodes."""


@dataclass(frozen=True, slots=True)
class Change:
    """By how much an energy changes between two levels."""

    what: str
    """`signal` or `gradient`."""
    start: Level
    end: Level
    before: float
    after: float
    passed: tuple[str, ...]
    """Paths of the layers between them."""
    least: float = DRIFT
    """The factor from which on it is a fault."""

    @property
    def size(self) -> float:
        """The absolute logarithm of the factor."""
        return abs(log(self.after / self.before))

    @property
    def drifts(self) -> bool:
        """Whether it is a fault."""
        return exp(self.size) >= self.least


def cause(plan: Plan, levels: Sequence[Level], findings: Sequence[Problem]) -> Cause:
    """What is most wrong: the larger change of a signal or a gradient, else the first finding.

    Args:
        plan: The network.
        levels: All of them.
        findings: Of the linter.
    """
    found = _changes(plan, levels)
    if faults := [change for change in found if change.drifts]:
        return _of_change(plan, *faults)
    if wrong := [finding for finding in findings if finding.severity != "note"]:
        return _of_finding(wrong[0])
    lost = [level for level in levels if level.signal is None and level.measured_signal is None and level.note]
    if lost:
        sentence = f"Nothing is predicted from `{lost[0].path}` on: {lost[0].note}"
        return Cause(verdict="unknown", severity="none", sentence=sentence)
    reach = max((exp(change.size) for change in found), default=1.0)
    sentence = f"Nothing vanishes or explodes: energies change by a factor of {number(_round(reach))} at most"
    return Cause(verdict="steady", severity="none", sentence=sentence)


def worst(plan: Plan, levels: Sequence[Level]) -> Change | None:
    """The larger change of a signal or a gradient; None where neither is known."""
    return next(iter(_changes(plan, levels)), None)


def _changes(plan: Plan, levels: Sequence[Level]) -> list[Change]:
    """The largest change of a signal, and that of a gradient, the larger one first."""
    leaves = flow(plan).leaves
    found = [change for change in (_forward(leaves, levels, plan), _backward(leaves, levels)) if change is not None]
    # Where both change alike, the signal is named: the gradient follows it.
    return sorted(found, key=lambda change: -change.size * (1.2 if change.what == "signal" else 1))


def known(predicted: Energy | None, measured: Energy | None) -> float | None:
    """The energy that is judged: as measured, else as predicted; None for 0, as behind a layer that starts at zero."""
    found = predicted if measured is None else measured
    return None if found is None or found.energy <= 0 else found.energy


def _forward(leaves: Sequence[Leaf], levels: Sequence[Level], plan: Plan) -> Change | None:
    """The largest change of a signal since it started, without the network's outputs: a head may start small."""
    by_path = {level.path: level for level in levels}
    heads = {str(source.maker) for source in flow(plan).results.values()}
    starts: dict[str, tuple[str, tuple[str, ...]]] = {f"@{name}": (name, ()) for name in plan.inputs}
    found: list[Change] = []
    for leaf in leaves:
        path = leaf.layer.path
        energy = _signal(by_path.get(path))
        reads = [read.maker for read in leaf.reads if _signal(by_path.get(read.maker.lstrip("@"))) is not None]
        restarts = leaf.layer.type in RULES and RULES.get(leaf.layer.type).restarts
        strongest = max(reads, key=lambda maker: _signal(by_path[maker.lstrip("@")]) or 0.0, default=None)
        if strongest is None or restarts or energy is None or strongest not in starts:
            starts[path] = (path, ())
            continue
        start, passed = starts[strongest]
        starts[path] = (start, (*passed, path))
        before = _signal(by_path[start])
        if before is not None and path not in heads:
            found.append(Change("signal", by_path[start], by_path[path], before, energy, starts[path][1]))
    return max(found, key=lambda change: change.size, default=None)


def _signal(level: Level | None) -> float | None:
    return None if level is None else known(level.signal, level.measured_signal)


def _backward(leaves: Sequence[Leaf], levels: Sequence[Level]) -> Change | None:
    norms = {leaf.layer.path for leaf in leaves if leaf.layer.type in RULES and RULES.get(leaf.layer.type).restarts}
    lengths: list[tuple[Level, float]] = []
    for level in levels:
        energy = known(level.gradient, level.measured_gradient)
        if energy is not None and level.size and (level.path in norms or not norms) and level.type != "input":
            lengths.append((level, energy * level.size))
    if len(lengths) < 2:
        return None
    end, last = lengths[-1]
    start, length = max(lengths, key=lambda item: abs(log(item[1] / last)))
    order = [level.path for level in levels]
    passed = tuple(order[order.index(start.path) + 1 : order.index(end.path) + 1])
    return Change("gradient", end, start, last, length, passed, LOST if norms else DRIFT)


def _of_change(plan: Plan, change: Change, *others: Change) -> Cause:
    blame = blamed(plan, change)
    verdict = _verdict(change)
    also = [f"its {other.what} {_verb(other)} too" for other in others]
    sentence = f"The {change.what} {_verb(change)}: {_path(change)}"
    if blame is not None:
        sentence += f", because {_reason(change, *blame)}"
    if also:
        sentence += f"; {also[0].replace('its', 'the')}"
    severity: Severity = "warning" if verdict == "drifts" else "error"
    rule = blame[0][0].rule if blame else None
    key = "" if rule is None else rule.key
    return Cause(
        verdict=verdict,
        severity=severity,
        sentence=sentence,
        key=key,
        spot=None if rule is None else Spot.of(rule.place or plan.origins.place(key)),
    )


def _verdict(change: Change) -> Verdict:
    if exp(change.size) < LOST:
        return "drifts"
    return "vanishes" if change.after < change.before else "explodes"


def _verb(change: Change) -> str:
    match _verdict(change):
        case "drifts":
            return "shrinks" if change.after < change.before else "grows"
        case verdict:
            return verdict


def _path(change: Change) -> str:
    start, end = change.start.path, change.end.path
    before, after = number(_round(change.before)), number(_round(change.after))
    if change.what == "signal":
        return f"E x² goes from {before} at `{start}` to {after} at `{end}`"
    return f"on its way back, its squared length goes from {before} at `{start}` to {after} at `{end}`"


def blamed(plan: Plan, change: Change) -> tuple[list[ParameterPlan], int] | None:
    """All weights of the init block that fills most of the layers on the way, and how many layers are on the way."""
    weights = weights_of(plan)
    passed = [weights[path] for path in change.passed if path in weights]
    if not passed:
        return None
    counts = Counter(weight.rule.key for weight in passed)
    key = counts.most_common(1)[0][0]
    return [weight for weight in weights.values() if weight.rule.key == key], len(passed)


def _reason(change: Change, weights: list[ParameterPlan], passed: int) -> str:
    weight = weights[len(weights) // 2]
    factor = (change.after / change.before) ** (1 / max(passed, 1))
    activations = Counter(name for one in weights if (name := _activation(one)))
    behind = f" before {activations.most_common(1)[0][0]}" if activations else ""
    std = f" with std {number(_round(weight.std))}" if weight.std else ""
    keeps = f", where about {number(_round(weight.std * factor**-0.5))} would keep it" if weight.std else ""
    layers = plural(len(weights), "layer")
    each = f" (a factor of {number(_round(factor))} a layer)" if passed > 1 else ""
    return f"`{weight.scheme}` starts {layers}{behind}{std}{each}{keeps}"


def _activation(parameter: ParameterPlan) -> str:
    activations = parameter.fills[0][0].activations
    return activations[0].name if activations else ""


def _of_finding(found: Problem) -> Cause:
    severity: Severity = "warning" if found.severity == "warning" else "error"
    sentence = found.message[:1].upper() + found.message[1:]
    return Cause(verdict="steady", severity=severity, sentence=sentence, key=found.path, spot=Spot.of(found.place))


def _round(value: float) -> float:
    return float(f"{value:.3g}")
