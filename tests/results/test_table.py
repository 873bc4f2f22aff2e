"""The table of a folder of runs, as wide as the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from modelforge.results import collect
from modelforge.results.grouping import group
from modelforge.results.significance import contrasts
from modelforge.results.table import effect_table, group_table, table
from tests.results.sweeps import gains, swept
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


def printed(renderable, width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_groups(tmp_path: Path):
    grouped = group(collect(gains(tmp_path)))
    lines = printed(group_table(grouped, contrasts(grouped)), 80)
    assert lines == [
        "init        init.gain  val/accuracy     ±       n  difference  without",
        "xavier      1               0.91200  0.01       3",
        "orthogonal  1               0.91000  0.01       3    ≈ -0.002",
        "xavier      0.5             0.71200  0.01       3        -0.2",
        "orthogonal  0.5             0.71000  0.01       3      -0.202",
        "orthogonal  4               0.40000        1 of 3      -0.512  2 diverged",
        "xavier      4                              0 of 3              3 diverged",
        "",
        "difference: to `init=xavier init.gain=1`; ≈: below the spread over seed",
        "1 mean of fewer jobs than there are repetitions: see `n` and `without`.",
    ]


def test_groups_of_which_all_diverged_have_been_repeated(tmp_path: Path):
    grouped = group(collect(swept(tmp_path, {("xavier", gain, seed): None for gain in "12" for seed in range(2)})))
    lines = printed(group_table(grouped, contrasts(grouped)), 80)
    assert [line.split() for line in lines[1:]] == [[gain, "0", "of", "2", "2", "diverged"] for gain in "12"]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int):
    sweep = collect(gains(tmp_path))
    grouped = group(sweep)
    for part in (table(sweep), group_table(grouped, contrasts(grouped)), effect_table(sweep)):
        assert max(map(len, printed(part, width))) <= width


def test_narrow_groups_keep_a_header_and_name_the_other_cells(tmp_path: Path):
    grouped = group(collect(gains(tmp_path)))
    assert printed(group_table(grouped, contrasts(grouped)), 60)[:4] == [
        "init        init.gain  val/accuracy  ±     n",
        "xavier      1          0.91200       0.01  3",
        "orthogonal  1          0.91000       0.01  3",
        "    difference ≈ -0.002",
    ]


def test_each_value_on_its_own(tmp_path: Path):
    sweep = collect(gains(tmp_path))
    assert printed(effect_table(sweep), 80)[:5] == [
        "Each value on its own, over all jobs that have it",
        "key        value       val/accuracy      ±       n  without",
        "init       orthogonal       0.75143   0.18  7 of 9  2 diverged",
        "           xavier           0.81200   0.11  6 of 9  3 diverged",
        "init.gain  0.5              0.71100  0.009       6",
    ]


def test_runs_that_optimize_different_metrics_have_no_blank_columns(tmp_path: Path):
    for index, metric in enumerate(("val/loss", "val/accuracy", "val/r2")):
        job(tmp_path / str(index), overrides=[f"a={index}"], optimized_metric=metric, metrics={metric: 0.5})
    assert printed(table(collect(tmp_path)), 80) == [
        "job  a  state                   result   time",
        "1    1  finished  val/accuracy 0.50000  1.2 s",
        "0    0  finished      val/loss 0.50000  1.2 s",
        "2    2  finished        val/r2 0.50000  1.2 s",
    ]


def test_equal_reasons_are_one(tmp_path: Path):
    for index in range(12):
        job(tmp_path / str(index), "failed", [f"a={index}"], error=[{"message": "no room"}])
    lines = printed(table(collect(tmp_path), 3), 80)
    assert lines[4:] == ["and 9 jobs more: --all lists them", "", "0, 1, 2, 3, 4, 5, 6, 7 and 4 more  failed: no room"]


def test_a_long_path_in_a_reason_is_folded(tmp_path: Path):
    name = "0,+trainer.limit_train_batches=2,init.gain=1.5,model=mlp,seed=0,trainer.max_epochs=1"
    message = f"`/data/projects/lstm/runs/sweeps/gains/{name}/metrics.csv` cannot be written: no space left on device"
    job(tmp_path / name, "failed", ["seed=0"], error=[{"message": message}])
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(table(collect(tmp_path)))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    reason = "".join(line.strip() for line in lines[2:])
    assert message.replace(" ", "") in reason.replace(" ", "")


def test_values_near_to_one_another_look_different(tmp_path: Path):
    for index, gain in enumerate(("0.99583998250", "0.99584112250", "12345678.5")):
        values = [f"init.gain={gain}", f"model={index % 2}"]
        job(tmp_path / str(index), overrides=values, metrics={"val/accuracy": 0.9 - 0.1 * index})
    job(tmp_path / "3", overrides=["init.gain=12345678.5", "model=1"], metrics={"val/accuracy": 0.5})
    sweep = collect(tmp_path)
    grouped = group(sweep)
    near = ["0.99584", "0.995841", "12345678"]
    assert [line.split()[1] for line in printed(table(sweep), 90)[1:5]] == [*near, near[-1]]
    assert [line.split()[0] for line in printed(group_table(grouped, contrasts(grouped)), 90)[1:5]] == [*near, near[-1]]
    effects = effect_table(sweep)
    assert effects is not None
    assert [line.removeprefix("init.gain").split()[0] for line in printed(effects, 90)[2:5]] == near
