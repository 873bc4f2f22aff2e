"""Seeds as one: mean, spread, and what a mean leaves out."""

from __future__ import annotations

from pathlib import Path
from statistics import stdev

import pytest

from modelforge.results import collect
from modelforge.results.effects import effects
from modelforge.results.grouping import group, spread
from modelforge.results.significance import contrasts
from modelforge.results.table import notes
from tests.results.sweeps import gains, swept
from tests.runs.jobs import job


def test_seeds_become_one_line_with_mean_and_spread(tmp_path: Path):
    grouped = group(collect(gains(tmp_path)))
    assert grouped.keys == ("init", "init.gain")
    best = grouped.groups[0]
    assert dict(best.values) == {"init": "xavier", "init.gain": "1"}
    assert best.mean == pytest.approx(0.912)
    assert best.std == pytest.approx(stdev([0.902, 0.912, 0.922]))
    assert (best.n, best.expected, best.is_whole, best.lacks) == (3, 3, True, "")


def test_a_mean_over_fewer_seeds_is_marked(tmp_path: Path):
    grouped = group(collect(gains(tmp_path)))
    found = {(one.values["init"], one.values["init.gain"]): one for one in grouped.groups}
    part = found["orthogonal", "4"]
    assert (part.n, part.is_whole, part.lacks, part.std) == (1, False, "2 diverged", None)
    lost = found["xavier", "4"]
    assert (lost.n, lost.mean, lost.lacks) == (0, None, "3 diverged")
    assert grouped.groups[-1] is lost


def test_a_mean_over_few_lucky_seeds_is_not_the_best(tmp_path: Path):
    results = {("a", "1", 0): 0.99, ("a", "1", 1): None, ("b", "1", 0): 0.8, ("b", "1", 1): 0.8}
    grouped = group(collect(swept(tmp_path, results)))
    assert grouped.best is not None
    assert grouped.best.values["init"] == "b"
    assert [one.values["init"] for one in grouped.groups] == ["a", "b"]


def test_a_seed_that_no_folder_has_is_missing(tmp_path: Path):
    found = group(collect(swept(tmp_path, {("a", "1", 0): 0.5, ("a", "1", 1): 0.7, ("b", "1", 0): 0.6})))
    assert {one.values["init"]: one.lacks for one in found.groups} == {"a": "", "b": "1 not listed"}


def test_a_loss_is_best_where_it_is_least(tmp_path: Path):
    for index, loss in enumerate((0.5, 0.25)):
        job(tmp_path / str(index), overrides=[f"a={index}"], optimized_metric="val/loss", metrics={"val/loss": loss})
    grouped = group(collect(tmp_path), ())
    assert grouped.best is not None
    assert grouped.best.mean == 0.25
    assert grouped.best.is_whole


def test_one_seed_of_two_folders_is_two_results(tmp_path: Path):
    for name, value in (("x", 0.5), ("y", 0.7)):
        job(tmp_path / name / "0,seed=1", overrides=["seed=1"], metrics={"val/accuracy": value})
    (one,) = group(collect(tmp_path / "x", tmp_path / "y")).groups
    assert one.n == 2
    assert one.mean == pytest.approx(0.6)


def test_the_spread_is_that_within_groups(tmp_path: Path):
    groups = group(collect(gains(tmp_path))).groups
    assert spread(groups[0], groups[1]) == pytest.approx(0.01)
    assert spread(groups[-1]) is None


def test_a_trial_that_was_ended_early_is_in_no_mean(tmp_path: Path):
    for seed, (value, pruned) in enumerate([(0.9, False), (0.3, True), (0.8, False)]):
        job(tmp_path / str(seed), overrides=[f"seed={seed}"], metrics={"val/accuracy": value}, pruned=pruned)
    sweep = collect(tmp_path)
    assert [(row.state, row.number) for row in sweep.rows] == [("finished", 0), ("finished", 2), ("pruned", 1)]
    (only,) = group(sweep).groups
    assert only.mean == pytest.approx(0.85)
    assert (only.n, only.expected, only.lacks) == (2, 3, "1 pruned")


def test_a_sweep_that_was_copied_has_no_more_repetitions(tmp_path: Path):
    """Of equal seeds, runs give equal numbers to the last digit: a copy would make a spread look smaller than it is."""
    results = {(init, "1", seed): 0.8 + 0.01 * seed + 0.1 * (init == "a") for init in "ab" for seed in range(3)}
    swept(tmp_path / "x", results)
    swept(tmp_path / "y", results)
    swept(tmp_path / "z", {("a", "1", 0): 0.95})
    alone, twice = group(collect(tmp_path / "x")), group(collect(tmp_path / "x", tmp_path / "y"))
    for first, second in zip(alone.groups, twice.groups, strict=True):
        assert (first.results, first.std, first.lacks) == (second.results, second.std, second.lacks)
        assert (second.n, second.expected, second.num_copies) == (3, 3, 3)
    assert "6 jobs with the values and the very metrics of another: counted once." in notes(twice, contrasts(twice))
    assert effects(twice.sweep) == effects(alone.sweep)
    third = group(collect(tmp_path / "x", tmp_path / "y", tmp_path / "z")).groups[0]
    assert (third.n, third.expected, third.lacks) == (4, 4, ""), "another result of one seed is one"
