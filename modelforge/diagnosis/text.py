"""text: a diagnosis for the terminal: first the cause and its repair, then the layers with curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.core.words import magnitude, number, plural
from modelforge.diagnosis.document import RANDOM, Finding, Start
from modelforge.diagnosis.rows import (
    LevelRow,
    ends,
    energy,
    greatest_share,
    level_rows,
    limits,
    measured_gradient,
    measured_signal,
    seen,
    sparkline,
    sparklines,
    stuck,
)
from modelforge.report.aligned import PATH, WORDS, Aligned, Wrapped
from modelforge.report.table import Fitted

COLOURS = {"none": "green", "warning": "yellow", "error": "red"}
CURVE = 40
"""Characters of the curve of a whole network."""


def text(starts: Sequence[Start]) -> RenderableType:
    """The whole diagnosis of one config, or of several side by side."""
    if len(starts) == 1:
        return Group(*_start(starts[0]))
    parts: list[RenderableType] = [_compared(starts)]
    for start in starts:
        parts += [Text(), Text(start.label, "bold"), *_cause(start)]
    return Group(*parts)


def _compared(starts: Sequence[Start]) -> RenderableType:
    """A row for each config, on one scale."""
    signals = [_curve(start, signal=True) for start in starts]
    gradients = [_curve(start, signal=False) for start in starts]
    scales = [limits([value for curve in curves for value in curve]) for curves in (signals, gradients)]
    header = ("config", "verdict", "signal", "E x²\nlast", "gradient", "E g²\nfirst")
    body = [
        (
            Text(start.label),
            Text(start.cause.verdict, COLOURS[start.cause.severity]),
            Text(sparkline(signal, scales[0])),
            Text(number(_rounded(ends(start)[0]))),
            Text(sparkline(gradient, scales[1])),
            Text(number(_rounded(ends(start)[1]))),
        )
        for start, signal, gradient in zip(starts, signals, gradients, strict=True)
    ]
    return Fitted(header, body, right=(3, 5), folds={0: PATH}, steps=((0, 16),))


def _start(start: Start) -> Iterator[RenderableType]:
    yield from _cause(start)
    yield Text()
    yield from _curves(start)
    yield Text()
    yield _table(start)
    yield Text()
    yield from _below(start)


def _cause(start: Start) -> Iterator[RenderableType]:
    """The cause, the line of the config to blame, and what repairs it."""
    yield Wrapped(Text(start.cause.sentence, COLOURS[start.cause.severity]))
    rows: list[tuple[Text, Text]] = []
    if start.cause.spot is not None and start.cause.severity != "none":
        rows.append((Text("set at", "blue"), Text(start.cause.spot.words)))
    if start.repair is not None:
        rows += [
            (Text("repair" if first else "", "blue"), Text(quote(one)))
            for first, one in _marked(start.repair.overrides)
        ]
    elif start.unrepaired:
        rows.append((Text("repair", "blue"), Text(start.unrepaired)))
    if rows:
        yield Aligned(rows, indent=2, wraps=True)


def _marked(items: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """Each item, and whether it is the first."""
    yield from ((index == 0, item) for index, item in enumerate(items))


def _curves(start: Start) -> Iterator[RenderableType]:
    curves = [("signal   E x²", _curve(start, signal=True)), ("gradient E g²", _curve(start, signal=False))]
    if start.repair is not None:
        curves.append(("repaired E x²", [*start.repair.signal]))
        curves.append(("repaired E g²", [*start.repair.gradient]))
    rows: list[tuple[Text, ...]] = []
    for name, values in curves:
        known = [value for value in values if value is not None]
        ends = f"{number(_rounded(known[0]))} → {number(_rounded(known[-1]))}" if known else "not known"
        rows.append((Text(name, "dim"), Text(sparkline(values, width=CURVE)), Text(ends)))
    yield Aligned(rows, stages=(3, 2))


def _table(start: Start) -> RenderableType:
    header = (
        "layer",
        "type",
        "E x²",
        "copies",
        "measured",
        "E g²",
        "copies",
        "measured",
        "std",
        "flat",
        "dead",
        "note",
    )
    rows = level_rows(start.levels)
    curves = seen(start.levels)
    bounds = [limits([*map(curve, start.levels)]) for curve in curves]
    body = [tuple(map(Text, _cells(row, *sparklines(row, curves, bounds)))) for row in rows]
    used = [index for index in range(len(header)) if index < 2 or any(line[index].plain for line in body)]
    place = {index: new for new, index in enumerate(used)}
    steps = ((11, 24), (8, 0), (10, 0), (9, 0), (0, 14), (7, 0), (4, 0), (6, 0), (3, 0), (1, 0), (11, 0))
    return Fitted(
        [header[index] for index in used],
        [[line[index] for index in used] for line in body],
        right=[place[index] for index in (2, 4, 5, 7, 8, 9, 10) if index in place],
        folds={place[index]: piece for index, piece in ((0, PATH), (11, WORDS)) if index in place},
        steps=[(place[index], width) for index, width in steps if index in place],
    )


def _cells(row: LevelRow, signals: str, gradients: str) -> tuple[str, ...]:
    levels = row.levels
    several = len(levels) > 1
    return (
        f"{row.path} ×{levels[0].copies}" if several else row.path,
        row.type,
        row.ends(lambda level: energy(level.signal)),
        signals,
        row.ends(measured_signal),
        row.ends(lambda level: energy(level.gradient)),
        gradients,
        row.ends(measured_gradient),
        row.ends(lambda level: level.std),
        greatest_share([level.saturated for level in levels]),
        greatest_share([level.dead for level in levels]),
        row.note,
    )


def _below(start: Start) -> Iterator[RenderableType]:
    """What was measured, findings and the ledger, in a line each."""
    lines: list[tuple[str, str]] = []
    if (found := start.measurement) is not None:
        seeds = plural(len(found.seeds), "seed")
        assumed = "" if found.data == RANDOM else "; predicted for random inputs"
        lines.append(
            ("measured", f"{seeds} on {plural(found.batch, 'example')} of {found.data}{found.in_mode}{assumed}")
        )
        if found.jacobian is not None and found.jacobian.values:
            values = found.jacobian.values
            ends = f"{number(_rounded(values[0]))} to {number(_rounded(values[-1]))}"
            kind = "" if found.jacobian.exact else " (the largest, estimated)"
            lines.append(("Jacobian", f"singular values {ends}{kind}"))
        lines += [
            ("recurrent", f"{one.path}: largest eigenvalue {number(_rounded(one.radius))}") for one in found.spectra
        ]
        lines += [("stuck", words) for words in (stuck(found.stuck) if found.stuck else [])]
        for one in found.steps:
            known = [value for value in one.gradient if value is not None]
            ends = " → ".join(number(_rounded(value)) for value in _ends(known)) or "none"
            lines.append(("over time", f"{one.path}: E g² {ends} {sparkline(one.gradient)}"))
    else:
        lines.append(("not measured", start.unmeasured))
    size = f"{magnitude(start.num_parameters)} parameters, {plural(start.num_layers, 'layer')}"
    failed = sum(row.failed for row in start.ledger)
    promise = f", {plural(failed, 'parameter')} not as promised" if failed else ""
    lines.append(("ledger", f"{size}, seed {start.seed}{promise}"))
    lines += [("ignored", f"{finding.code}: {finding.reason}") for finding in start.ignored]
    yield Aligned([(Text(name, "dim"), Text(words)) for name, words in lines], wraps=True)
    for finding in start.findings:
        yield Text()
        yield from _finding(finding)


def _finding(finding: Finding) -> Iterator[RenderableType]:
    colour = "red" if finding.severity == "error" else "yellow"
    yield Wrapped(Text.assemble((f"{finding.severity}[{finding.code}]", f"bold {colour}"), f": {finding.message}"))
    if finding.spot is not None:
        yield Text.assemble(("  --> ", "blue"), finding.spot.words)
    if finding.hint:
        yield Wrapped(Text(f"= help: {finding.hint}"), indent=3)


def _curve(start: Start, *, signal: bool) -> list[float | None]:
    forward, backward = seen(start.levels)
    return [*map(forward if signal else backward, start.levels)]


def _ends(values: Sequence[float]) -> Sequence[float]:
    """The first and the last value; one alone as it is."""
    return (values[0], values[-1]) if len(values) > 1 else values


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
