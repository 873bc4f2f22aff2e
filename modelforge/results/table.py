"""`Sweep` → tables for the terminal: its jobs, its groups, and what each swept value did on its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from types import MappingProxyType

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.text import Text

from modelforge.core.quoting import printable
from modelforge.core.words import digits, plural
from modelforge.report.aligned import NAMES, Aligned, Wrapped
from modelforge.results.effects import Effect, effects
from modelforge.results.grouping import Grouped
from modelforge.results.listing import Listing
from modelforge.results.significance import FEW, Contrast, can_test
from modelforge.results.sweep import Row, Sweep
from modelforge.results.words import p_text, values_text

STYLES = MappingProxyType(
    {
        **dict.fromkeys(("finished", "pruned"), "green"),
        **dict.fromkeys(("running", "queued"), "cyan"),
        **dict.fromkeys(("interrupted", "missing"), "yellow"),
    }
)  # the rest is red
MAX_LINES = 100
"""Jobs or groups that are listed, unless all are asked for."""
MAX_NAMED = 8
"""Jobs that one reason names."""


def table(sweep: Sweep, most: int | None = None) -> Stack:
    """One line a job: its name, what was swept, its state, metrics and duration; below, why some did not finish.

    Args:
        sweep: The jobs.
        most: How many to list; None for all.
    """
    shown = sweep.rows[:most]
    parts: list[RenderableType] = [_jobs(sweep, shown), *_left_out(len(sweep.rows) - len(shown), "job")]
    why = [[Text(name), Text(reason)] for name, reason in reasons(sweep.rows)]
    return Stack(*parts, *([Text(), Aligned(why, wraps=True, pieces=NAMES)] if why else []))


def group_table(grouped: Grouped, compared: Sequence[Contrast], most: int | None = None) -> Stack:
    """One line a group: mean and spread over its repetitions, what the mean leaves out, and how it differs.

    Args:
        grouped: The groups.
        compared: Each beside its baseline.
        most: How many to list; None for all.
    """
    shown = compared[:most]
    metric = grouped.sweep.metric or "metric"
    header = [*(grouped.keys or ("jobs",)), metric, "±", "n", "difference", "p", "without"]
    first = len(grouped.keys) or 1
    listing = Listing(
        header,
        [[Text(cell) for cell in _group_cells(grouped, one)] for one in shown],
        right=range(first, first + 5),
        first=range(first + 3),
        bold=[index for index, one in enumerate(shown) if one.group is grouped.best],
        dim=[index for index, one in enumerate(shown) if one.within],
    )
    below = [Wrapped(Text(line, "dim")) for line in notes(grouped, compared)]
    return Stack(listing, *_left_out(len(compared) - len(shown), "group"), *([Text(), *below] if below else []))


def effect_table(sweep: Sweep) -> Stack | None:
    """What each swept value did on its own; None where one key alone was swept, or nothing finished."""
    found = effects(sweep)
    if len({one.key for one in found}) < 2 or all(one.mean is None for one in found):
        return None
    lines = [[Text(cell) for cell in cells] for cells in _effect_lines(sweep, found)]
    header = ["key", "value", sweep.metric, "±", "n", "without"]
    listing = Listing(header, lines, right=(2, 3, 4), first=(0, 1, 2, 3, 4), keys=0)
    return Stack(Text("Each value on its own, over all jobs that have it", "bold"), listing)


def _jobs(sweep: Sweep, rows: Sequence[Row]) -> Listing:
    # The test loss adds little to the metric of the task.
    names = [name for name in sweep.metric_names if name == sweep.metric or _is_result(name)]
    metrics = ["result"] if sweep.is_mixed else names
    header = ["job", *sweep.keys, "state", *metrics, "time"]
    last = len(sweep.keys) + 1
    best = next((index for index, row in enumerate(rows) if row.state == "finished"), None)
    return Listing(
        header,
        [_cells(row, sweep, metrics) for row in rows],
        right=range(last + 1, len(header)),
        first=(0, last),
        bold=() if best is None or sweep.is_mixed else (best,),
    )


def _cells(row: Row, sweep: Sweep, metrics: Sequence[str]) -> list[Text]:
    results = [_own_result(row)] if sweep.is_mixed else [_metric(row, name) for name in metrics]
    return [
        Text(printable(row.name)),
        *(Text(printable(sweep.text(key, row.overrides.get(key, "")))) for key in sweep.keys),
        Text(row.state, STYLES.get(row.state, "red")),
        *map(Text, results),
        Text("" if row.seconds is None else f"{row.seconds:.1f} s"),
    ]


def _metric(row: Row, name: str) -> str:
    return digits(row.metrics[name]) if name in row.metrics else ""


def _own_result(row: Row) -> str:
    """The metric that a job optimizes, with its name: jobs beside it optimize others."""
    value = _metric(row, row.optimized_metric)
    return f"{row.optimized_metric} {value}" if value else ""


def _left_out(number: int, noun: str) -> list[Text]:
    return [Text(f"and {plural(number, noun)} more: --all lists them", "dim")] if number > 0 else []


def reasons(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Why jobs did not finish, equal reasons together."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.reason:
            found.setdefault(f"{row.state}: {row.reason}", []).append(printable(row.name))
    for reason, names in found.items():
        more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
        yield f"{', '.join(names[:MAX_NAMED])}{more}", reason


def _group_cells(grouped: Grouped, contrast: Contrast) -> list[str]:
    one = contrast.group
    swept = [printable(grouped.sweep.text(key, one.values[key])) for key in grouped.keys] or ["all"]
    mean = "" if one.mean is None else digits(one.mean)
    if grouped.sweep.is_mixed and mean:
        mean = f"{one.metric} {mean}"
    difference = "" if contrast.difference is None else f"{'≈ ' if contrast.within else ''}{contrast.difference:+.3g}"
    return [
        *swept,
        mean,
        "" if one.std is None else f"{one.std:.2g}",
        str(one.n) if one.is_whole else f"{one.n} of {one.expected}",
        difference,
        "" if contrast.adjusted is None else p_text(contrast.adjusted),
        one.lacks,
    ]


def notes(grouped: Grouped, compared: Sequence[Contrast]) -> Iterator[str]:
    """What the columns mean, and what they cannot say."""
    over = " and ".join(grouped.over)
    references = {id(one.baseline): one.baseline for one in compared if one.baseline is not None}
    if any(one.difference is not None for one in compared):
        (reference, *others) = references.values()
        to = "the baseline that is otherwise alike" if others else f"`{values_text(reference.values) or 'all'}`"
        yield f"difference: to {to}; ≈: below the spread over {over or 'repetitions'}"
    yield from _on_tests(compared, over)
    least = min((one.group.n for one in compared if one.p is not None), default=FEW)
    if least < FEW:
        yield f"With {least} repetitions, a test sees large differences alone: five or more say more."
    elif all(one.group.expected < 2 for one in compared) and len(compared) > 1:
        yield f"One repetition has no spread: sweep over {over or 'seed'} to know which differences count."
    if num_copies := sum(one.group.num_copies for one in compared):
        yield f"{plural(num_copies, 'job')} with the values and the very metrics of another: counted once."
    if marked := [one for one in compared if one.group.n and not one.group.is_whole]:
        yield f"{plural(len(marked), 'mean')} of fewer jobs than there are repetitions: see `n` and `without`."


def _on_tests(compared: Sequence[Contrast], over: str) -> Iterator[str]:
    """What `p` is of, or why there is none."""
    tests = Counter(one.test for one in compared if one.p is not None)
    if tests:
        num_tests = max(one.num_tests for one in compared)
        pairs = ", all pairs: the best was found in the same runs" if num_tests > tests.total() else ""
        corrected = f"Holm-corrected for {plural(num_tests, 'comparison')}{pairs}"
        yield f"p: {' or '.join(sorted(tests))} t-test over {over}, of no difference; {corrected}"
    elif any(one.test for one in compared) and not can_test():
        yield "p: not computed, it needs scipy: pip install 'modelforge[train]'"


def _effect_lines(sweep: Sweep, effects: Sequence[Effect]) -> Iterator[list[str]]:
    last = ""
    for one in effects:
        others = ", ".join(f"{count} {state}" for state, count in one.counts.items() if state != "finished")
        yield [
            printable(one.key) if one.key != last else "",
            printable(sweep.text(one.key, one.value)) or "as configured",
            "" if one.mean is None else digits(one.mean),
            "" if one.std is None else f"{one.std:.2g}",
            str(one.n) if one.n == one.num_jobs else f"{one.n} of {one.num_jobs}",
            others,
        ]
        last = one.key


def _is_result(name: str) -> bool:
    return name.startswith("test/") and name != "test/loss"
