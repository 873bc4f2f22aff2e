"""The ledger's rows as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.building.entries import Calibrated, LedgerEntry
from modelforge.core.errors import Problem
from modelforge.core.words import number, stored, where
from modelforge.report.aligned import PATH, PLACE, WORDS
from modelforge.report.problems import problems_text
from modelforge.report.table import Fitted


def ledger_table(entries: Sequence[LedgerEntry], problems: Sequence[Problem]) -> RenderableType:
    """The rule, target and measured mean and std, and verdict of each parameter; below, calibrations and warnings.

    Where the terminal is narrow, paths fold at their dots and rules at their slashes; then rules, schemes and shapes
    are left out. Names and numbers are always whole.
    """
    styles = {"pass": "green", "fail": "bold red", "unpromised": "yellow"}
    header = (
        "parameter",
        "shape",
        "scheme",
        "rule",
        "target\nmean",
        "\nmeasured",
        "target\nstd",
        "\nmeasured",
        "verdict",
    )
    body = [
        (
            Text.assemble(entry.path, *((f" = {alias}", "dim") for alias in entry.aliases)),
            Text(stored(entry.shape, entry.transposed)),
            Text(entry.scheme, "cyan"),
            Text(where(entry.place) or entry.rule, "dim"),
            *map(Text, map(number, _moments(entry))),
            Text(entry.verdict, styles[entry.verdict]),
        )
        for entry in entries
    ]
    steps = ((3, 16), (0, 28), (3, 0), (2, 0), (1, 0), (0, 12))
    main = Fitted(header, body, right=range(4, 8), folds={0: PATH, 3: PLACE}, steps=steps)
    calibrated: dict[str, list[tuple[str, Calibrated]]] = {}
    for entry in entries:
        if (done := entry.calibration) is not None:
            calibrated.setdefault(done.method, []).append((entry.path, done))
    below = [_calibration_table(*done) for done in calibrated.items()]
    warnings = [problems_text(problems)] if problems else []
    return Group(main, *(part for table in (*below, *warnings) for part in (Text(), table)))


def _moments(entry: LedgerEntry) -> tuple[float | None, ...]:
    return entry.target_mean, entry.measured_mean, entry.target_std, entry.measured_std


def _calibration_table(method: str, calibrated: Sequence[tuple[str, Calibrated]]) -> RenderableType:
    """The factor of each kernel, and the variance of its layer's output before and after, or why it was left."""
    header = (method, "factor", "passes", "variance", "left as it was")
    body = [tuple(map(Text, (path, *_calibration(item), item.left))) for path, item in calibrated]
    if not any(item.left for _, item in calibrated):
        header, body = header[:-1], [line[:-1] for line in body]
    return Fitted(header, body, right=(1, 2, 3), folds={0: PATH, 4: WORDS}, steps=((4, 10), (0, 12)))


def _calibration(item: Calibrated) -> tuple[str, str, str]:
    if item.left:
        return "", "", ""
    low, high = item.factors
    factor = f"×{number(low)}" if low == high else f"×{number(low)} … {number(high)}"
    return factor, f"{item.passes:,}", f"{number(item.variance_before)} → {number(item.variance_after)}"
