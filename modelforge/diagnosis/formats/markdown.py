"""markdown: a diagnosis for a pull request. Names and values are code: nothing in a config can format or mention."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from modelforge.core.quoting import printable
from modelforge.core.words import magnitude, number, plural
from modelforge.diagnosis.document import Start
from modelforge.diagnosis.result import Diagnosis
from modelforge.diagnosis.rows import (
    energy,
    level_rows,
    limits,
    measured_gradient,
    measured_signal,
    seen,
    sparklines,
    stuck,
)
from modelforge.report.escapes import cell, code, prose

MAX_ROWS = 40
"""Rows of a table; more are counted."""
UNKNOWN = "❔"
MARKS = {"none": "✅", "warning": "⚠️", "error": "❌"}


def markdown(diagnosis: Diagnosis) -> str:
    """The diagnosis as GitHub-flavoured Markdown."""
    lines = [f"### How {code(diagnosis.title)} starts", ""]
    for start in diagnosis.starts:
        if len(diagnosis.starts) > 1:
            lines += [f"#### {code(start.label)}", ""]
        lines += _start(start)
    return "\n".join(lines).rstrip() + "\n"


def _start(start: Start) -> Iterator[str]:
    mark = UNKNOWN if start.cause.verdict == "unknown" else MARKS[start.cause.severity]
    yield f"{mark} **{start.cause.verdict}**: {prose(start.cause.sentence)}"
    yield ""
    if start.cause.spot is not None and start.cause.severity != "none":
        yield f"Set at {code(start.cause.spot.words)}."
        yield ""
    if start.repair is not None:
        yield from ("Repair:", "", "```sh", *(printable(quote(one)) for one in start.repair.overrides), "```", "")
    yield from _table(start)
    still = [] if start.measurement is None or start.measurement.stuck is None else stuck(start.measurement.stuck)
    yield from (f"- {prose(words)}" for words in still)
    for finding in start.findings:
        where = f" ({code(finding.spot.words)})" if finding.spot else ""
        yield f"- `{finding.code}` {prose(finding.message)}{where}"
    for finding in start.ignored:
        yield f"- `{finding.code}` is ignored: {prose(finding.reason)}"
    if still or start.findings or start.ignored:
        yield ""
    yield f"{magnitude(start.num_parameters)} parameters in {plural(start.num_layers, 'layer')}, seed {start.seed}."
    yield ""


def _table(start: Start) -> Iterator[str]:
    rows = level_rows(start.levels)
    curves = seen(start.levels)
    bounds = [limits([*map(curve, start.levels)]) for curve in curves]
    yield "| layer | E x² | | measured | E g² | | measured |"
    yield "| --- | ---: | --- | ---: | ---: | --- | ---: |"
    for row in rows[:MAX_ROWS]:
        signals, gradients = sparklines(row, curves, bounds)
        copies = f" ×{number(row.levels[0].copies)}" if len(row.levels) > 1 else ""
        cells = (
            cell(code(row.path)) + copies,
            row.ends(lambda level: energy(level.signal)),
            signals,
            row.ends(measured_signal),
            row.ends(lambda level: energy(level.gradient)),
            gradients,
            row.ends(measured_gradient),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""
    if len(rows) > MAX_ROWS:
        yield f"{plural(len(rows) - MAX_ROWS, 'more layer')} are left out."
        yield ""
