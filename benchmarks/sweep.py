"""What a sweep costs beside the training of its jobs.

    python benchmarks/sweep.py freeze --jobs 1000     # seconds to compose, check and write all jobs
    python benchmarks/sweep.py run --jobs 1000        # seconds and memory of each job, under Hydra's basic launcher

A job of `run` trains an MLP for one batch. Its own training is what `fit_seconds` in its status counts.
"""

from __future__ import annotations

import argparse
import json
import runpy
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from modelforge.config.sweeps import read_sweep
from modelforge.runs.jobs import read_sweep_file
from modelforge.sweeps import frozen_sweep
from modelforge.sweeps.check import Checker
from modelforge.sweeps.freezing import Shared, freeze, frozen_jobs
from modelforge.sweeps.selection import select
from modelforge.train import frozen_job, hydra_job
from modelforge.train.settings import SweepSettings

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
SETTINGS = ("model=mlp", "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "+trainer.limit_val_batches=1",
    "+trainer.limit_test_batches=1", "trainer.enable_progress_bar=false", "logger=none")  # fmt: skip
MEBIBYTE = 2**20


def main() -> None:
    """Prints what the chosen part measures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["freeze", "run"])
    parser.add_argument("--jobs", type=int, default=1000)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        (_freeze if given.part == "freeze" else _run)(given.jobs, Path(folder))


def _freeze(number: int, folder: Path) -> None:
    gains, rates = (f"range(1,{1 + count})" for count in (10, 10))
    words = [*SETTINGS, "init=orthogonal,xavier_normal", f"init.gain={gains}", f"optimizer.lr={rates}"]
    words.append(f"seed=range(0,{max(1, number // 200)})")
    times = [time.perf_counter()]
    sweep = read_sweep(CONF, words)
    times.append(time.perf_counter())
    selection = select(sweep, SweepSettings(), CONF, "config", Checker().check, Shared().kept)
    times.append(time.perf_counter())
    jobs, _ = frozen_jobs(selection.jobs)
    times.append(time.perf_counter())
    freeze(folder, jobs, sweep, selection, SweepSettings(), words)
    times.append(time.perf_counter())
    for name, before, after in zip(("read", "compose and check", "hash", "write"), times, times[1:], strict=False):
        print(f"{name:20} {after - before:8.2f} s   {1000 * (after - before) / len(jobs):6.2f} ms a job")
    print(f"{len(jobs):,} jobs, {psutil.Process().memory_info().rss / MEBIBYTE:,.0f} MiB")


def _run(number: int, folder: Path) -> None:
    """Runs a sweep in this process, and looks at each job's time and memory."""
    process, seen = psutil.Process(), list[tuple[float, float, float]]()
    work = frozen_job.work

    def watched(*arguments: Any) -> Any:
        result = work(*arguments)
        seen.append((time.perf_counter(), time.process_time(), process.memory_info().rss / MEBIBYTE))
        return result

    hydra_job.work = watched
    root = folder / "sweep"
    sys.argv = [str(ROOT / "train.py"), "-m", *SETTINGS, f"seed=range(0,{number})", f"hydra.sweep.dir={root}"]
    begin = time.perf_counter()
    with suppress(SystemExit):
        runpy.run_path(sys.argv[0], run_name="__main__")
    _report(root, seen, time.perf_counter() - begin)


def _report(root: Path, seen: Sequence[tuple[float, float, float]], seconds: float) -> None:
    jobs = read_sweep_file(root).jobs
    trained = [json.loads((root / job.folder / "status.json").read_text())["fit_seconds"] for job in jobs]
    apart = [after - before for (before, *_), (after, *_) in pairwise(seen)]
    lost = [whole - fit for whole, fit in zip(apart, trained[1:], strict=True)]
    print(f"\n{len(jobs):,} jobs in {seconds:,.1f} s, with imports and the report of the sweep")
    print(f"a job: {mean(apart):.3f} s, of which training {mean(trained):.3f} s and all else {mean(lost):.3f} s")
    print(f"       (median of all else {median(lost):.3f} s)")
    busy = [after - before for (_, before, _), (_, after, _) in pairwise(seen)]
    print(f"       {mean(busy):.3f} s of the processor, training included")
    quarter = max(1, len(seen) // 4)
    early, late = (mean(memory for *_, memory in part) for part in (seen[quarter : 2 * quarter], seen[-quarter:]))
    grown = 1024 * (late - early) / max(1, len(seen) - 2 * quarter)
    print(f"memory: {early:,.0f} MiB in the second quarter, {late:,.0f} MiB in the last: {grown:,.1f} KiB a job")


if __name__ == "__main__":
    assert frozen_sweep  # imported before anything is measured
    main()
