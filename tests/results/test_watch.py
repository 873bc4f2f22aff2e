"""A sweep while it runs: what is said, and when it ends."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from modelforge.results import collect
from modelforge.results import watch as watching
from modelforge.results.watch import line, progress, shown, watch
from modelforge.runs.liveness import claimed
from tests.runs.jobs import job


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four of eight jobs are over, one a minute; two run."""
    jobs = [{"number": n, "hash": "", "seed": 0, "overrides": [f"a={n}"], "folder": f"{n},a={n}"} for n in range(8)]
    (tmp_path / "sweep.json").write_text(json.dumps({"format_version": "1.0", "jobs": jobs}))
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(4):
        state = "diverged" if number == 3 else "finished"
        ended = (begin + timedelta(minutes=number)).isoformat()
        job(
            tmp_path / f"{number},a={number}", state, [f"a={number}"], ended=ended, metrics={"val/accuracy": number / 8}
        )
    for number in (4, 5):
        job(tmp_path / f"{number},a={number}", "running", [f"a={number}"])
    (tmp_path / "4,a=4" / "metrics.csv").write_text("epoch,step,train/loss\n0,1,0.5\n1,2,0.5\n")
    return tmp_path


def end(folder: Path, *numbers: int) -> None:
    for number in numbers:
        path = folder / f"{number},a={number}"
        path.mkdir(exist_ok=True)
        (path / "status.json").unlink(missing_ok=True)
        job(path / "new", "finished", [f"a={number}"], metrics={"val/accuracy": 0.5})
        (path / "new" / "status.json").rename(path / "status.json")
        (path / "new").rmdir()


def test_a_line(folder: Path):
    found = progress(collect(folder))
    assert line(found) == (
        "4 of 8 jobs  ·  3 finished, 2 running, 2 queued, 1 diverged  ·  1 jobs a minute  ·  about 4 min left  ·  "
        "best val/accuracy 0.25000: a=2"
    )


@pytest.mark.parametrize(("seconds", "overhead", "jobs_at_once"), [(55, 5, 1), (10, 50, 1), (230, 10, 4)])
def test_breaks_are_no_part_of_the_rate(tmp_path: Path, seconds: int, overhead: int, jobs_at_once: int):
    """Six rounds of jobs were run yesterday, and two today, at the same pace."""
    each = timedelta(seconds=seconds + overhead)
    begin, number = datetime(2026, 1, 1, tzinfo=UTC), 0
    for turn in range(8):
        ended = (begin + turn * each + timedelta(days=turn > 5)).isoformat()
        for _ in range(jobs_at_once):
            job(tmp_path / str(number), "finished", [f"a={number}"], ended=ended, seconds=float(seconds))
            number += 1
    due = (number - 1) / (7 * each.total_seconds())
    assert progress(collect(tmp_path)).rate == pytest.approx(due, rel=0.01)


def test_a_long_job_fills_a_gap(tmp_path: Path):
    """Others wait for it."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for number, (end, seconds) in enumerate([(60, 60), (120, 60), (4000, 60), (4060, 4060)]):
        ended = (begin + timedelta(seconds=end)).isoformat()
        job(tmp_path / str(number), "finished", [f"a={number}"], ended=ended, seconds=float(seconds))
    assert progress(collect(tmp_path)).rate == pytest.approx(3 / 4000)


def test_the_view_names_running_jobs_with_their_epoch(folder: Path):
    console = Console(width=80, color_system=None, file=io.StringIO())
    with console.capture() as capture:
        console.print(shown(progress(collect(folder))))
    lines = capture.get().splitlines()
    assert lines[0].startswith("━" * 10 + "─" * 10 + "  4 of 8 jobs")
    assert [text.split() for text in lines[3:]] == [["4", "epoch", "2", "a=4"], ["5", "begins", "a=5"]]


def test_it_ends_with_the_sweep_and_says_a_line_at_each_change(folder: Path):
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            end(folder, 4, 5, 6, 7)

    out = io.StringIO()
    sweep = watch([folder], Console(file=out, width=200), sleep=sleep)
    said = out.getvalue().splitlines()
    assert len(said) == 2
    assert said[1].startswith("8 of 8 jobs  ·  7 finished, 1 diverged")
    assert sweep.counts == {"finished": 7, "diverged": 1}


def test_a_sweep_that_nobody_works_on_ends_after_a_while(folder: Path, monkeypatch: pytest.MonkeyPatch):
    end(folder, 4, 5)
    monkeypatch.setattr(watching, "GRACE", 5.0)
    waits: list[float] = []
    sweep = watch([folder], Console(file=io.StringIO(), width=200), sleep=waits.append)
    assert sum(waits) == pytest.approx(4.0)
    assert sweep.counts["missing"] == 2


def test_jobs_of_a_scheduler_are_waited_for(folder: Path):
    """They may be in its queue for hours, and no process keeps the sweep meanwhile."""
    end(folder, 4, 5)
    sweep = json.loads((folder / "sweep.json").read_text())
    sweep |= {"modelforge": "0", "started": "2026-01-01T00:00:00+00:00", "overrides": ["a=1,2", "hydra/launcher=none"]}
    (folder / "sweep.json").write_text(json.dumps(sweep))
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 100:
            end(folder, 6)
        if len(waits) == 200:
            end(folder, 7)

    found = watch([folder], Console(file=io.StringIO(), width=200), sleep=sleep)
    assert len(waits) == 200
    assert found.counts == {"finished": 7, "diverged": 1}


@pytest.mark.parametrize("listed", [(4, 5), (4, 5, 6, 7)])
def test_while_a_process_keeps_the_sweep_it_goes_on(folder: Path, listed: tuple[int, ...]):
    """Jobs may wait in a queue for hours, and a search lists its next trial when the last one is over."""
    end(folder, *listed)
    waits: list[float] = []
    with ExitStack() as claim:
        claim.enter_context(claimed(folder))

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 100:
                claim.close()
                end(folder, *({6, 7} - {*listed}))

        sweep = watch([folder], Console(file=io.StringIO(), width=200), sleep=sleep)
    assert len(waits) == 100
    assert sweep.counts == {"finished": 7, "diverged": 1}


def test_on_a_terminal_it_is_shown_in_place(folder: Path):
    end(folder, 4, 5, 6, 7)
    out = io.StringIO()
    watch([folder], Console(file=out, width=80, force_terminal=True), sleep=lambda seconds: None)
    assert "8 of 8 jobs" in out.getvalue()
