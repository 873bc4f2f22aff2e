"""The search for a gain finds the best one, keeps to its budget, and tries what is best with all seeds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelforge.sweeps.gain_search import Search, Trial


def searched(search: Search, result) -> tuple[Search, list[Trial]]:
    """A search that ran to its end, and its trials in order."""
    asked = []
    while (trial := search.next()) is not None:
        asked.append(trial)
        search = search.with_result(trial, result(trial))
    return search, asked


@given(best=st.integers(-20, 20), start=st.integers(-8, 8), higher=st.booleans())
def test_a_single_peak_is_found(best: int, start: int, higher: bool) -> None:
    sign = -1 if higher else 1
    search = Search(num_seeds=1, budget=40, start=start, higher_is_better=higher)
    found, asked = searched(search, lambda trial: sign * abs(trial.rung - best))
    assert found.best == best
    assert len(asked) == len(set(asked)) <= abs(best - start) / 4 + 8


@given(budget=st.integers(1, 30), num_seeds=st.integers(1, 4), best=st.integers(-12, 12))
def test_the_budget_is_kept_and_what_is_best_has_all_seeds(budget: int, num_seeds: int, best: int) -> None:
    search, asked = searched(Search(num_seeds=num_seeds, budget=budget), lambda trial: -abs(trial.rung - best))
    assert len(asked) <= budget
    assert len(asked) == len(set(asked))
    if budget >= 12 + 3 * (num_seeds - 1):
        assert search.best == best
        assert len(search.results[best]) == num_seeds
        assert len(search.results[0]) == num_seeds


def test_the_first_gain_is_the_predicted_one_and_the_next_that_of_the_config() -> None:
    _, asked = searched(Search(num_seeds=2, budget=6, start=3), lambda trial: 0.0)
    assert asked[:2] == [Trial(3, 0), Trial(0, 0)]


def test_the_first_seed_alone_says_which_gain_is_best() -> None:
    """What chooses a gain is no evidence for it."""
    search = Search(num_seeds=3)
    for rung, values in {0: (0.5, 0.5, 0.5), 4: (0.7, 0.1, 0.1), 8: (0.6, 0.9, 0.9)}.items():
        for seed, value in enumerate(values):
            search = search.with_result(Trial(rung, seed), value)
    assert search.best == 4


@pytest.mark.parametrize("budget", range(1, 7))
def test_each_gain_begins_with_the_first_seed(budget: int) -> None:
    _, asked = searched(Search(num_seeds=4, budget=budget, start=2), lambda trial: 0.0)
    assert asked[:2] == [Trial(2, 0), Trial(0, 0)][:budget]
    assert len(asked) == budget


def test_a_gain_that_diverges_with_any_seed_is_not_the_best() -> None:
    def result(trial: Trial) -> float | None:
        return None if trial == Trial(4, 1) else -abs(trial.rung - 4)

    search, asked = searched(Search(num_seeds=3, budget=30), result)
    assert Trial(4, 1) in asked
    assert search.best not in (None, 4)
    assert search.mean(4) is None


def test_where_all_gains_diverge_smaller_ones_are_tried() -> None:
    search, asked = searched(Search(num_seeds=1, budget=6), lambda trial: math.inf if trial.rung > -16 else 1.0)
    assert [trial.rung for trial in asked][:5] == [0, -4, -8, -12, -16]
    assert search.best == -16


def test_where_nothing_trains_there_is_no_best_gain() -> None:
    search, asked = searched(Search(num_seeds=3, budget=7), lambda trial: None)
    assert search.best is None
    assert len(asked) == 7


def test_mean_and_spread_are_over_seeds() -> None:
    search = Search()
    for seed, value in enumerate((1.0, 2.0, 3.0)):
        search = search.with_result(Trial(0, seed), value)
    assert search.mean(0) == 2.0
    assert search.spread(0) == pytest.approx(1.0)
    assert search.with_result(Trial(4, 0), 1.0).spread(4) is None
