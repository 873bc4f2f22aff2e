"""Differences against seeds: paired and Welch's tests as scipy computes them, Holm's correction, baselines."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from modelforge.core.errors import ForgeError
from modelforge.core.frozen import FrozenDict
from modelforge.results import collect
from modelforge.results.grouping import group
from modelforge.results.significance import LEVEL, contrasts, t_test
from modelforge.results.sweep import Row, Sweep
from tests.results.sweeps import gains, swept

stats = pytest.importorskip("scipy.stats", reason="the `train` extra")
FIRST = {"0": 0.91, "1": 0.93, "2": 0.90, "3": 0.95}
SECOND = {"0": 0.90, "1": 0.90, "2": 0.89, "3": 0.91}


def test_equal_seeds_are_paired():
    name, p = t_test(FIRST, SECOND)
    assert name == "paired"
    assert p == pytest.approx(stats.ttest_rel([*FIRST.values()], [*SECOND.values()]).pvalue)


def test_other_seeds_are_not():
    other = {"5": 0.90, "6": 0.87, "7": 0.89}
    name, p = t_test(FIRST, other)
    assert name == "Welch"
    assert p == pytest.approx(stats.ttest_ind([*FIRST.values()], [*other.values()], equal_var=False).pvalue)


def test_second_runs_of_a_seed_are_not_paired_by_their_rank(tmp_path: Path):
    """Of two folders, the better runs of each group have nothing in common."""
    values = {"x": {"a": (0.90, 0.94), "b": (0.80, 0.85)}, "y": {"a": (0.91, 0.93), "b": (0.84, 0.82)}}
    for name, found in values.items():
        swept(tmp_path / name, {(init, "1", seed): one[seed] for init, one in found.items() for seed in range(2)})
    (_, other) = contrasts(group(collect(tmp_path / "x", tmp_path / "y")))
    first, second = ([*values["x"][init], *values["y"][init]] for init in "ab")
    assert other.test == "Welch"
    assert other.p == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [({"0": 1.0}, {"0": 2.0}, ("", None)), ({"0": 1.0, "1": 2.0}, {"0": 1.0, "1": 2.0}, ("paired", 1.0)),
     ({"0": 2.0, "1": 2.0}, {"2": 1.0, "3": 1.0}, ("Welch", None))],
)  # fmt: skip
def test_without_spread_there_is_no_test(first, second, expected):
    assert t_test(first, second) == expected


@pytest.mark.parametrize("seeds", [(296, 149, 59), (294, 150, 99, 292)])
def test_a_spread_that_is_rounding_alone_is_none(seeds: tuple[int, ...]):
    """Two examples more of 297 in each seed: as accuracies in float32, the differences differ in their last digits."""
    first, second = ({str(s): float(np.float32(s - less) / np.float32(297)) for s in seeds} for less in (0, 2))
    assert len({first[seed] - second[seed] for seed in first}) > 1
    assert t_test(first, second) == ("paired", None)
    assert t_test(first, {seed: value * (1 + 2**-24) for seed, value in first.items()}) == ("paired", 1.0)
    assert t_test({"0": 0.3, "1": 0.3 + 1e-9}, {"2": 0.5, "3": 0.5}) == ("Welch", None)
    _, p = t_test({"0": 1e-9, "1": 3e-9}, {"0": 2e-9, "1": 5e-9})
    assert p == pytest.approx(stats.ttest_rel([1e-9, 3e-9], [2e-9, 5e-9]).pvalue), "small numbers are no rounding"


def test_everything_is_compared_with_the_best(tmp_path: Path):
    found = contrasts(group(collect(gains(tmp_path))))
    assert found[0].baseline is None
    assert all(one.baseline is found[0].group for one in found[1:])
    assert [one.within for one in found] == [False, True, False, False, False, False]
    assert found[1].difference == pytest.approx(-0.002)
    assert found[1].adjusted is None, "each seed is worse by the same: there is no spread of differences"


@pytest.mark.parametrize(("wanted", "num_tests"), [((), 6), (("init=a",), 3)])
def test_p_is_corrected_for_the_number_of_comparisons(tmp_path: Path, wanted: tuple[str, ...], num_tests: int):
    """The best of four is the best of six pairs."""
    values = {"a": [0.90, 0.92, 0.94], "b": [0.80, 0.83, 0.83], "c": [0.86, 0.91, 0.90], "d": [0.70, 0.69, 0.75]}
    results = {(init, "1", seed): one[seed] for init, one in values.items() for seed in range(3)}
    groups = group(collect(swept(tmp_path, results)))
    found = {one.group.values["init"]: one for one in contrasts(groups, wanted)}
    assert {one.num_tests for one in found.values()} == {num_tests}
    raw = {name: stats.ttest_rel(values["a"], values[name]).pvalue for name in "bcd"}
    assert {name: found[name].p for name in "bcd"} == pytest.approx(raw)
    low, middle, high = sorted(raw.values())
    holm = [n * p for n, p in zip(range(num_tests, 0, -1), (low, middle, high), strict=False)]
    holm = [max(holm[: rank + 1]) for rank in range(3)]
    assert sorted(found[name].adjusted for name in "bcd") == pytest.approx([min(1, one) for one in holm])


@pytest.mark.parametrize("wanted", [(), ("init=0",)])
def test_where_groups_are_equal_one_sweep_in_twenty_has_a_significant_difference(wanted: tuple[str, ...]):
    random = Random(0)
    sweeps, hits = 300, 0
    for _ in range(sweeps):
        names = [(str(init), str(seed)) for init in range(10) for seed in range(5)]
        rows = [
            Row(
                folder=f"{init},{seed}",
                state="finished",
                overrides=FrozenDict({"init": init, "seed": seed}),
                metrics=FrozenDict({"val/accuracy": random.gauss(0.9, 0.01)}),
                optimized_metric="val/accuracy",
            )
            for init, seed in names
        ]
        found = Sweep("", tuple(rows), ("init", "seed"), "val/accuracy").by("val/accuracy")
        hits += any(one.is_significant for one in contrasts(group(found), wanted))
    bound = next(k for k in range(sweeps) if stats.binom.sf(k, sweeps, LEVEL) < 1e-3)
    assert hits <= bound


def test_a_baseline_is_the_counterpart_with_its_values(tmp_path: Path):
    found = contrasts(group(collect(gains(tmp_path))), ["init=orthogonal"])
    pairs = {tuple(one.group.values.values()): one.baseline and tuple(one.baseline.values.values()) for one in found}
    assert pairs["xavier", "0.5"] == ("orthogonal", "0.5")
    assert pairs["xavier", "1"] == ("orthogonal", "1")
    assert pairs["orthogonal", "1"] is None


def test_one_baseline_serves_all(tmp_path: Path):
    found = contrasts(group(collect(gains(tmp_path))), ["init=orthogonal", "init.gain=0.5"])
    assert sum(one.baseline is None for one in found) == 1


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [("init=orthogonl", "no job has `init=orthogonl`", "orthogonal"), ("int=a", "no two groups of jobs differ", "init"),
     ("init", "`init` sets no value", "KEY=VALUE")],
)  # fmt: skip
def test_a_baseline_that_is_not_there(tmp_path: Path, word: str, message: str, hint: str):
    with pytest.raises(ForgeError) as caught:
        contrasts(group(collect(gains(tmp_path))), [word])
    (problem,) = caught.value.problems
    assert message in problem.message
    assert hint in problem.hint
