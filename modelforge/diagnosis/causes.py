"""cause: the levels of a network → what is most wrong with them, in one sentence, and the init block to blame.

Both are followed on the way that most of the signal takes to an output: residual branches and heads may start small. A
signal is compared with where it last started: at an input, an embedding or a norm. A gradient is compared by its
squared length, between norms, and from norm to norm, where it grows somewhat in any deep network, whatever the weights
(Yang et al. 2019, arXiv:1902.08129): only a large change counts there. What averages over positions take away is not
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

from modelforge.core.errors import Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.words import number, plural
from modelforge.diagnosis.broken import broken
from modelforge.diagnosis.dead import dead
from modelforge.diagnosis.document import Cause, Level, Severity, Spot, Verdict
from modelforge.diagnosis.levels import judged, weights_of
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan
from modelforge.signal.averages import lost_to_averages
from modelforge.signal.flow import LeafLayer, flow
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
    lost: float = 1.0
    """By what averages over positions between them divide it, which does not count."""

    @property
    def factor(self) -> float:
        """What counts."""
        return self.after * self.lost / self.before

    @property
    def size(self) -> float:
        """The absolute logarithm of the factor."""
        return abs(log(self.factor))

    @property
    def drifts(self) -> bool:
        """Whether it is a fault."""
        return exp(self.size) >= self.least


def cause(
    plan: Plan, levels: Sequence[Level], findings: Sequence[Problem], spoiled: Mapping[str, int] = FrozenDict()
) -> Cause:
    """What is most wrong: NaN or infinity; that nothing can learn; the larger change of a signal or a gradient; the
    first finding.

    Args:
        plan: The network.
        levels: All of them.
        findings: Of the linter.
        spoiled: The numbers of values that are not finite, by the path of their parameter.
    """
    if (wrong := broken(plan, levels, spoiled)) is not None:
        return wrong if spoiled else _foreseen(plan, levels, wrong)
    found = _changes(plan, levels)
    faults = [change for change in found if change.drifts]
    vanishes = any(change.what == "signal" and _verdict(change) == "vanishes" for change in faults)
    if (still := dead(plan, levels, vanishes=vanishes)) is not None:
        return still
    if faults:
        return _of_change(plan, *faults)
    if warned := [finding for finding in findings if finding.severity != "note"]:
        return _of_finding(warned[0])
    lost = [level for level in levels if level.signal is None and level.measured_signal is None and level.note]
    if lost:
        reason = lost[0].note.removeprefix("unknown from here on: ").removeprefix("unknown: ")
        sentence = f"Nothing is predicted from `{lost[0].path}` on: {reason}"
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
    found = [
        change for change in (_forward(plan, leaves, levels), _backward(plan, leaves, levels)) if change is not None
    ]
    # Where both change alike, the signal is named: the gradient follows it.
    return sorted(found, key=lambda change: -change.size / log(change.least) * (1.2 if change.what == "signal" else 1))


def _forward(plan: Plan, leaves: Sequence[LeafLayer], levels: Sequence[Level]) -> Change | None:
    """The largest change of a signal since it started; in front of a norm, only a large one is a fault."""
    energies = _energies(levels)
    by_path, sizes = {level.path: level for level in levels}, {level.path: level.size for level in levels}
    makers = {leaf.layer.path: leaf for leaf in leaves}
    found: list[Change] = []
    for result in _results(plan):
        pieces = _pieces(_way(result, makers, energies)[:-1])
        for piece in pieces:
            lost = lost_to_averages(piece, makers, energies, sizes)
            there = [path for path in piece if path in energies]
            for end in there[1:]:
                passed = tuple(piece[piece.index(there[0]) + 1 : piece.index(end) + 1])
                ends = energies[there[0]], energies[end]
                least = DRIFT if piece is pieces[-1] else LOST
                divided = lost[end] / lost[there[0]]
                found.append(Change("signal", by_path[there[0]], by_path[end], *ends, passed, least, divided))
    return _worst(found)


def _worst(changes: Sequence[Change]) -> Change | None:
    return max(changes, key=lambda change: change.size / log(change.least), default=None)


def _pieces(way: Sequence[tuple[str, bool]]) -> list[list[str]]:
    """The layers from one norm to the next, the norm first."""
    pieces: list[list[str]] = [[]]
    for path, restarts in way:
        pieces += [[]] if restarts and pieces[-1] else []
        pieces[-1].append(path)
    return pieces


def _energies(levels: Sequence[Level]) -> Mapping[str, float]:
    """Those that count, without 0, as after a layer that starts at zero."""
    return {path: energy for path, energy in judged(levels, "signal").items() if energy}


def _results(plan: Plan) -> Sequence[str]:
    """The layers that give the results of the model."""
    return [*dict.fromkeys(source.maker for source in flow(plan).results.values())]


def _way(result: str, makers: Mapping[str, LeafLayer], energies: Mapping[str, float]) -> list[tuple[str, bool]]:
    """The layers from an input to an output, back along what is strongest; and whether a signal starts again there."""
    way: list[tuple[str, bool]] = []
    at = result
    while at in makers:
        leaf = makers[at]
        way.append((at, _restarts(leaf)))
        reads = [read.maker for read in leaf.reads]
        at = max(reads, key=lambda maker: energies.get(maker.removeprefix("@"), 0.0), default="")
    return [*([(at.removeprefix("@"), False)] if at else []), *reversed(way)]


def _restarts(leaf: LeafLayer) -> bool:
    return leaf.layer.type in RULES and RULES.get(leaf.layer.type).restarts


def _backward(plan: Plan, leaves: Sequence[LeafLayer], levels: Sequence[Level]) -> Change | None:
    """The largest change of a gradient's squared length on the same way, between norms or from norm to norm."""
    energies = _energies(levels)
    by_path, sizes = {level.path: level for level in levels}, {level.path: level.size for level in levels}
    makers = {leaf.layer.path: leaf for leaf in leaves}
    gradients = judged(levels, "gradient")
    lengths = {
        level.path: energy * level.size
        for level in levels
        if level.size and level.type != "input" and (energy := gradients.get(level.path))
    }
    found: list[Change] = []
    for result in _results(plan):
        way = _way(result, makers, energies)[:-1]
        lost = lost_to_averages([path for path, _ in reversed(way)], makers, lengths, sizes)
        norms = [path for path, restarts in way if restarts]
        for paths, least in [(norms, LOST), *((piece, DRIFT) for piece in _pieces(way))]:
            there = [path for path in paths if path in lengths]
            if len(there) > 1:
                found.append(_along(there, [path for path, _ in way], by_path, lengths, lost, least))
    return _worst(found)


def _along(
    paths: Sequence[str],
    way: Sequence[str],
    by_path: Mapping[str, Level],
    lengths: Mapping[str, float],
    lost: Mapping[str, float],
    least: float,
) -> Change:
    """The largest change of a length from the last of some layers back to one of them."""
    end = paths[-1]

    def change(start: str) -> Change:
        passed = tuple(way[way.index(start) + 1 : way.index(end) + 1])
        ends, divided = (lengths[end], lengths[start]), lost[start] / lost[end]
        return Change("gradient", by_path[end], by_path[start], *ends, passed, least, divided)

    return max(map(change, paths), key=lambda found: found.size)


def _foreseen(plan: Plan, levels: Sequence[Level], wrong: Cause) -> Cause:
    """What is not finite, with what makes it grow where that is predicted."""
    alone = {"measured_signal": None, "measured_gradient": None, "not_finite": ()}
    found = _changes(plan, [level.model_copy(update=alone) for level in levels])
    grows = [change for change in found if change.drifts and change.after > change.before]
    if not grows:
        return wrong
    reason = _of_change(plan, *grows)
    sentence = f"{wrong.sentence}. As predicted, {reason.sentence[:1].lower()}{reason.sentence[1:]}"
    return reason.model_copy(update={"verdict": wrong.verdict, "severity": wrong.severity, "sentence": sentence})


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
    return "vanishes" if change.factor < 1 else "explodes"


def _verb(change: Change) -> str:
    match _verdict(change):
        case "drifts":
            return "shrinks" if change.factor < 1 else "grows"
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
    factor = change.factor ** (1 / max(passed, 1))
    activations = Counter(name for one in weights if (name := _activation(one)))
    # A head has none after it, and does not count among the layers that have.
    read_by, number_of = activations.most_common(1)[0] if activations else ("", len(weights))
    before = f" before {read_by}" if read_by else ""
    std = f" with std {number(_round(weight.std))}" if weight.std else ""
    keeps = f", where about {number(_round(weight.std * factor**-0.5))} would keep it" if weight.std else ""
    layers = plural(number_of, "layer")
    each = f" (a factor of {number(_round(factor))} a layer)" if passed > 1 else ""
    return f"`{weight.scheme}` starts {layers}{before}{std}{each}{keeps}"


def _activation(parameter: ParameterPlan) -> str:
    activations = parameter.fills[0][0].activations
    return activations[0].name if activations else ""


def _of_finding(found: Problem) -> Cause:
    severity: Severity = "warning" if found.severity == "warning" else "error"
    sentence = found.message[:1].upper() + found.message[1:]
    return Cause(verdict="steady", severity=severity, sentence=sentence, key=found.key, spot=Spot.of(found.place))


def _round(value: float) -> float:
    return float(f"{value:.3g}")
