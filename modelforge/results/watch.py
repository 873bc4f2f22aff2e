"""`watch`: a sweep while it runs: progress, rate, time left, the best so far, and the running jobs; ends with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from statistics import median

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from modelforge.core.errors import ForgeError
from modelforge.core.quoting import printable
from modelforge.core.words import digits, plural
from modelforge.report.aligned import Aligned
from modelforge.report.ascii import writable
from modelforge.results.collect import collect, is_held
from modelforge.results.curves import last_epoch
from modelforge.results.sweep import OPEN, STATES, Row, Sweep
from modelforge.results.words import counts_line, values_text
from modelforge.runs.jobs import read_sweep_file

PERIOD = 2.0
"""Seconds between two looks on a terminal."""
QUIET_PERIOD = 30.0
"""Seconds between two lines where there is none; a change of states is worth one at once."""
GRACE = 20.0
"""Seconds without a running job after which a sweep that no process keeps locked counts as over, though jobs wait."""
WORKED_ON = "hydra/launcher=none"
"""The override of a sweep whose jobs `sweep work` runs."""
MAX_RUNNING = 16
BAR = 20


@dataclass(frozen=True)
class Progress:
    """How far a sweep is."""

    sweep: Sweep
    rate: float | None
    """Jobs a second; None before two have ended."""

    @property
    def num_jobs(self) -> int:
        """All jobs, those that have not begun included."""
        return len(self.sweep.rows)

    @property
    def num_over(self) -> int:
        """Jobs that have ended, or that no process works on."""
        return sum(row.state not in OPEN for row in self.sweep.rows)

    @property
    def is_running(self) -> bool:
        """Whether a job is at work."""
        return any(row.state == "running" for row in self.sweep.rows)

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far."""
        return None if not self.rate else (self.num_jobs - self.num_over) / self.rate


def progress(sweep: Sweep) -> Progress:
    """How far the jobs are, and how many ended in a second, on average; breaks do not count."""
    over = sorted(
        (datetime.fromisoformat(row.ended).timestamp(), row.seconds or 0.0)
        for row in sweep.rows
        if row.ended and row.is_over
    )
    ends = [end for end, _ in over]
    if len(ends) < 2 or ends[-1] <= ends[0]:
        return Progress(sweep, None)
    # when the first began of a job and those after it
    begins = [*accumulate((end - seconds for end, seconds in reversed(over)), min)][::-1]
    rests = [max(0.0, begin - before) for before, begin in zip(ends, begins[1:], strict=False)]
    usual = median(rests)
    breaks = sum(rest - usual for rest in rests if rest > usual + GRACE)
    return Progress(sweep, (len(ends) - 1) / (ends[-1] - ends[0] - breaks))


def watch(folders: Sequence[Path], screen: Console, *, sleep: Callable[[float], None] = time.sleep) -> Sweep:
    """Shows a sweep until it ends: in place on a terminal, else a line now and then.

    Args:
        folders: Of the sweep.
        screen: Where it is shown.
        sleep: Waits so many seconds.

    Returns:
        The sweep as it ended.

    Raises:
        ForgeError: a folder holds no run.
    """
    if screen.is_terminal and screen.encoding.startswith("utf"):
        with Live(console=screen, auto_refresh=False, transient=True) as live:
            for found in _looks(folders, sleep):
                live.update(shown(found), refresh=True)
        return collect(*folders)
    shown_counts, before = "", -QUIET_PERIOD
    for found in _looks(folders, sleep):
        counts, now = counts_line(found.sweep), time.monotonic()
        if counts != shown_counts or now - before >= QUIET_PERIOD:
            said = writable(line(found), screen.encoding)
            screen.print(said, markup=False, highlight=False, soft_wrap=True)
            shown_counts, before = counts, now
    return collect(*folders)


def _looks(folders: Sequence[Path], sleep: Callable[[float], None]) -> Iterator[Progress]:
    """The progress, again and again until no process keeps the sweep locked, no job runs, and none has for a while.

    Where jobs are for `sweep work` alone, they may wait for hours, and nothing here says whether: until all have ended.
    """
    idle, for_others = 0.0, any(map(_is_for_others, folders))
    while True:
        begin = time.monotonic()
        held = any(map(is_held, folders))  # first: who lets go of it has written all results
        found = progress(collect(*folders))
        # To read ten thousand jobs takes seconds.
        pause = max(PERIOD, 4 * (time.monotonic() - begin))
        yield found
        waits = any(row.state in ("queued", "missing") for row in found.sweep.rows)
        goes_on = held or found.is_running or (for_others and waits)
        idle = 0.0 if goes_on else idle + pause
        if not goes_on and (not waits or idle > GRACE):
            return
        sleep(pause)


def _is_for_others(folder: Path) -> bool:
    """Whether a sweep was frozen for processes that other programs start."""
    with suppress(ForgeError):
        return WORKED_ON in read_sweep_file(folder).overrides
    return False


def line(found: Progress) -> str:
    """One line: how many jobs are over, what became of them, the time left, the best so far."""
    parts = [f"{found.num_over} of {plural(found.num_jobs, 'job')}", counts_line(found.sweep), *_times(found)]
    return "  ·  ".join(filter(None, [*parts, *_best(found.sweep)]))


def shown(found: Progress) -> Group:
    """The same over several lines, with the running jobs."""
    done = round(BAR * found.num_over / max(1, found.num_jobs))
    head = f"{'━' * done}{'─' * (BAR - done)}  {found.num_over} of {plural(found.num_jobs, 'job')}"
    lines = [Text("  ".join([head, *_times(found)])), Text(counts_line(found.sweep)), *map(Text, _best(found.sweep))]
    running = [row for row in found.sweep.rows if row.state == "running"]
    jobs = [
        [Text(printable(row.name)), Text(_epoch(row)), Text(_swept(row, found.sweep))] for row in running[:MAX_RUNNING]
    ]
    more = [Text(f"and {len(running) - MAX_RUNNING} more running")] if len(running) > MAX_RUNNING else []
    return Group(*lines, *([Aligned(jobs, indent=2, stages=(2,))] if jobs else []), *more)


def _epoch(row: Row) -> str:
    epoch = last_epoch(Path(row.path))
    return "begins" if epoch is None else f"epoch {epoch}"


def _times(found: Progress) -> list[str]:
    if not found.rate or found.num_over == found.num_jobs:
        return []
    per_minute = 60 * found.rate
    left = found.seconds_left or 0.0
    return [f"{per_minute:.3g} jobs a minute", f"about {duration(left)} left"]


def _best(sweep: Sweep) -> list[str]:
    first = min(sweep.rows, key=lambda row: STATES[row.state], default=None)
    if first is None or first.state != "finished" or sweep.is_mixed or (value := sweep.result(first)) is None:
        return []
    return [f"best {sweep.metric} {digits(value)}: {_swept(first, sweep)}"]


def _swept(row: Row, sweep: Sweep) -> str:
    """What tells a job apart, as overrides; its name where nothing does."""
    values = {key: row.overrides[key] for key in sweep.keys if key in row.overrides}
    return printable(values_text(values) or row.name)


def duration(seconds: float) -> str:
    """
    >>> duration(42), duration(125), duration(7300)
    ('42 s', '2 min', '2 h 2 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
