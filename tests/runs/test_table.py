"""The table of a folder of runs, as wide as the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from modelforge.runs import collect
from modelforge.runs.table import table
from tests.runs.jobs import job


def test_the_table(sweep: Path):
    console = Console(width=90, color_system=None)
    with console.capture() as capture:
        console.print(table(collect(sweep)))
    assert [line.rstrip() for line in capture.get().splitlines()] == [
        "job       init.gain  state        val/accuracy  test/accuracy   time",
        "1         2          finished          0.87500        0.62500  1.2 s",
        "0         1          finished          0.75000        0.50000  1.2 s",
        "10        8          finished          0.25000                 1.2 s",
        "5         4          running",
        "4         3          interrupted                               1.2 s",
        "2         9          diverged                                  1.2 s",
        "3         x          failed                                    1.2 s",
        "6         5          killed",
        "8,gain=7             broken",
        "7,gain=6             missing",
        "",
        "2         diverged: training diverged at step 3: layer `rnn`",
        "3         failed: no number; second",
        "6         killed: its process (4194305) is gone",
        "8,gain=7  broken: status.json cannot be read",
        "7,gain=6  missing: no status.json: the job never started, or was not ours",
    ]


def test_a_long_reason_stays_in_its_column(tmp_path: Path):
    job(tmp_path / "0", "failed", ["a=1"], error=[{"message": "word " * 20}])
    console = Console(width=60, color_system=None)
    with console.capture() as capture:
        console.print(table(collect(tmp_path)))
    reason = [line.rstrip() for line in capture.get().splitlines()[3:]]
    assert reason == ["0  failed: word" + " word" * 9, "   word" + " word" * 9]
