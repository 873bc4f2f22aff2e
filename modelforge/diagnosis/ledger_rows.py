"""ledger_rows: the parameters of a plan → rows of the ledger, copies of one layer's as one row."""

from __future__ import annotations

from collections.abc import Collection

from modelforge.building.ledger import Ledger
from modelforge.core.paths import glob
from modelforge.core.words import stored
from modelforge.diagnosis.document import Row, Spot, finite
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan

MAX_ROWS = 120


def ledger_rows(plan: Plan, ledger: Ledger | None, spoiled: Collection[str] = ()) -> tuple[Row, ...]:
    """How each parameter starts.

    Args:
        plan: The network.
        ledger: Of the built network; None where it was not built.
        spoiled: Parameters whose values are not finite now: not as promised, whatever the ledger says.
    """
    groups: dict[tuple[object, ...], list[ParameterPlan]] = {}
    for item in plan.parameters:
        alike = glob(item.path), item.key, item.shape, item.scheme, item.rule.key, item.mean, item.std
        groups.setdefault(alike, []).append(item)
    return tuple(_row(same, ledger, spoiled) for same in list(groups.values())[:MAX_ROWS])


def _row(same: list[ParameterPlan], ledger: Ledger | None, spoiled: Collection[str]) -> Row:
    one = same[0]
    entry = None if ledger is None else ledger[one.path]
    return Row(
        path=glob(one.path) if len(same) > 1 else one.path,
        copies=len(same),
        shape=stored(one.shape, one.transposed),
        scheme=one.scheme,
        rule=one.rule.key,
        spot=Spot.of(one.rule.place),
        mean=finite(one.mean),
        std=finite(one.std),
        measured_std=None if entry is None else finite(entry.measured_std),
        failed=0
        if ledger is None
        else sum(ledger[item.path].verdict == "fail" or item.path in spoiled for item in same),
    )
