"""broken: a network in which a weight, a signal or a gradient is NaN or infinity, as measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from modelforge.core.words import number
from modelforge.diagnosis.document import Cause, Level, Spot
from modelforge.planning.plan import Plan

WHAT = "NaN or infinity"


def broken(plan: Plan, levels: Sequence[Level], spoiled: Mapping[str, int]) -> Cause | None:
    """The cause of a network that is not finite: where it begins; None where all is.

    Args:
        plan: The network.
        levels: All of them.
        spoiled: The numbers of values that are not finite, by the path of their parameter.
    """
    for parameter in plan.parameters:
        if parameter.path in spoiled:
            count, size, key = spoiled[parameter.path], prod(parameter.shape), parameter.rule.key
            held = f"{count:,} of {size:,} values of `{parameter.path}` are {WHAT}"
            return _cause(held, key, Spot.of(parameter.rule.place or plan.origins.place(key)))
    forward = next((index for index, level in enumerate(levels) if "signal" in level.not_finite), None)
    if forward is not None:
        return _at(plan, levels[forward], f"{_gives(levels[forward])} is not finite{_before(levels[:forward])}")
    back = next((level for level in reversed(levels) if "gradient" in level.not_finite), None)
    return back and _at(plan, back, f"The gradient that reaches `{back.path}` ({back.type}) is not finite: {WHAT}")


def _gives(level: Level) -> str:
    return f"The input `{level.path}`" if level.type == "input" else f"What `{level.path}` ({level.type}) gives"


def _before(levels: Sequence[Level]) -> str:
    last = next((level for level in reversed(levels) if level.measured_signal is not None), None)
    if last is None or last.measured_signal is None:
        return f": {WHAT}"
    return f": {WHAT}, where E x² is {number(last.measured_signal.energy)} at `{last.path}` before it"


def _at(plan: Plan, level: Level, sentence: str) -> Cause:
    key = next((layer.key for layer in plan.layers if layer.path == level.path), "")
    return _cause(sentence, key, Spot.of(plan.origins.place(key)) if key else None)


def _cause(sentence: str, key: str, spot: Spot | None) -> Cause:
    return Cause(verdict="not finite", severity="error", sentence=sentence, key=key, spot=spot)
