"""cause: the levels of a network → what is most wrong with them, in one sentence, and the init block to blame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import exp

from modelforge.core.errors import Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.words import number, plural
from modelforge.diagnosis.blame import Blame, blamed
from modelforge.diagnosis.broken import broken
from modelforge.diagnosis.changes import LOST, Change, Ways
from modelforge.diagnosis.dead import dead
from modelforge.diagnosis.document import Cause, Level, Severity, Spot, Verdict
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan
from modelforge.signal.back import NO_GRADIENT
from modelforge.signal.measured import Mode


def cause(
    plan: Plan,
    levels: Sequence[Level],
    findings: Sequence[Problem],
    spoiled: Mapping[str, int] = FrozenDict(),
    mode: Mode = "train",
) -> Cause:
    """What is most wrong: NaN or infinity; that nothing can learn; the larger change of a signal or a gradient; the
    first finding.

    Args:
        plan: The network.
        levels: All of them.
        findings: Of the linter.
        spoiled: The numbers of values that are not finite, by the path of their parameter.
        mode: In which the network was measured; predictions are for training.
    """
    if (wrong := broken(plan, levels, spoiled)) is not None:
        return wrong if spoiled else _foreseen(plan, levels, wrong)
    ways = Ways(plan, levels, mode)
    found = ways.changes
    faults = [change for change in found if change.drifts]
    vanishes = any(change.what == "signal" and _verdict(change) == "vanishes" for change in faults)
    if (still := dead(plan, levels, vanishes=vanishes)) is not None:
        return still
    if faults:
        return _of_change(plan, ways, *faults)
    if warned := [finding for finding in findings if finding.severity != "note"]:
        return _of_finding(warned[0])
    lost = [level for level in levels if level.signal is None and level.measured_signal is None and level.note]
    if lost:
        reason = lost[0].note.removeprefix("unknown from here on: ").removeprefix("unknown: ")
        return _unknown(f"Nothing is predicted from `{lost[0].path}` on: {reason}")
    back = [level for level in levels if level.lost and level.gradient is None]
    if back and not any(level.measured_gradient for level in levels):
        where = back[-1].lost.removeprefix(NO_GRADIENT)
        return _unknown(f"No signal vanishes or explodes, but gradients are not predicted before{where}")
    reach = max((exp(change.size) for change in found), default=1.0)
    sentence = f"Nothing vanishes or explodes: energies change by a factor of {number(_round(reach))} at most"
    return Cause(verdict="steady", severity="none", sentence=sentence)


def _unknown(sentence: str) -> Cause:
    return Cause(verdict="unknown", severity="none", sentence=sentence)


def _foreseen(plan: Plan, levels: Sequence[Level], wrong: Cause) -> Cause:
    """What is not finite, with what makes it grow where that is predicted."""
    alone = {"measured_signal": None, "measured_gradient": None, "not_finite": ()}
    ways = Ways(plan, [level.model_copy(update=alone) for level in levels])
    grows = [change for change in ways.changes if change.drifts and change.after > change.before]
    if not grows:
        return wrong
    reason = _of_change(plan, ways, *grows)
    sentence = f"{wrong.sentence}. As predicted, {reason.sentence[:1].lower()}{reason.sentence[1:]}"
    return reason.model_copy(update={"verdict": wrong.verdict, "severity": wrong.severity, "sentence": sentence})


def _of_change(plan: Plan, ways: Ways, change: Change, *others: Change) -> Cause:
    blame = blamed(plan, change, ways)
    verdict = _verdict(change)
    also = [f"its {other.what} {_verb(other)} too" for other in others]
    sentence = f"The {change.what} {_verb(change)}: {_path(change)}"
    if blame is not None:
        sentence += f", because {_reason(blame)}"
    if also:
        sentence += f"; {also[0].replace('its', 'the')}"
    severity: Severity = "warning" if verdict == "drifts" else "error"
    rule = None if blame is None else blame.rule
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


def _reason(blame: Blame) -> str:
    weight, factor = blame.weights[len(blame.weights) // 2], blame.factor
    activations = Counter(name for one in blame.weights if (name := _activation(one)))
    # A head has none after it, and does not count among the layers that have.
    read_by, number_of = activations.most_common(1)[0] if activations else ("", len(blame.weights))
    before = f" before {read_by}" if read_by else ""
    std = f" with std {number(_round(weight.std))}" if weight.std else ""
    keeps = f", where about {number(_round(weight.std * factor**-0.5))} would keep it" if weight.std else ""
    layers = plural(number_of, "layer")
    each = f" (a factor of {number(_round(factor))} a layer)" if blame.num_layers > 1 else ""
    return f"`{weight.scheme}` starts {layers}{before}{std}{each}{keeps}"


def _activation(parameter: ParameterPlan) -> str:
    activations = parameter.fills[0][0].activations
    return activations[0].name if activations else ""


def _of_finding(problem: Problem) -> Cause:
    severity: Severity = "warning" if problem.severity == "warning" else "error"
    sentence = problem.message[:1].upper() + problem.message[1:]
    return Cause(verdict="steady", severity=severity, sentence=sentence, key=problem.key, spot=Spot.of(problem.place))


def _round(value: float) -> float:
    return float(f"{value:.3g}")
