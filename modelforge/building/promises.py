"""broken_promises: a plan and the ledger of what was built → a problem for each parameter that is not as promised."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from modelforge.building.entries import LedgerEntry
from modelforge.building.ledger import Ledger
from modelforge.core.errors import Problem
from modelforge.core.words import number
from modelforge.planning.plan import Plan


def broken_promises(plan: Plan, ledger: Ledger) -> Iterator[Problem]:
    """One problem for each parameter that did not come out as promised, at the init block that won.

    Args:
        plan: What was built.
        ledger: What came out.
    """
    for entry in ledger.failures:
        parameter = plan.parameter(entry.path)
        key = parameter.key if parameter.rule.default else entry.rule
        hint = f"change the fields of `{entry.scheme}`, correct its code, or choose another scheme"
        yield Problem("MF028", key, _message(entry), hint, entry.place)


def _message(entry: LedgerEntry) -> str:
    mean, std = entry.measured_mean, entry.measured_std
    if mean is None or std is None or not (isfinite(mean) and isfinite(std)):
        return f"`{entry.path}` holds values that are not finite"
    wanted_mean = _within(entry.target_mean, entry.mean_tolerance)
    wanted_std = _within(entry.target_std, entry.std_tolerance)
    if entry.reason and not entry.reason.startswith(("a mean of", "a std of")):
        return f"`{entry.path}` has {entry.reason}, which a sound `{entry.scheme}` does not give"
    blocks = "" if entry.std_tolerance is not None else ", in each of its matrices"
    measured = f"`{entry.path}` has mean {number(mean)} and std {number(std)}"
    return f"{measured}, but `{entry.scheme}` promises mean {wanted_mean} and std {wanted_std}{blocks}"


def _within(target: float | None, tolerance: float | None) -> str:
    return number(target) if tolerance is None else f"{number(target)} ± {tolerance:.2g}"
