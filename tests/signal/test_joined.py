"""Sums of which some examples lack a part, as drawn; and networks with stochastic depth, as built."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

import modelforge as mf
from modelforge.signal.joined import MOST_DOUBTFUL, joined, summed_back
from modelforge.signal.scatter import MASSES, POINTS, GradientScatter, Scatter
from tests.signal.nets import check

KEPT = 0.7
STREAM = Scatter.normal(0.2, 0.0)
BRANCH = Scatter(0 * POINTS, 0.0).thinned(KEPT)


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Energies of 400,000 examples of a stream with a branch of 60 % of all energy, and which have that."""
    generator = np.random.default_rng(0)
    stream = np.exp(np.sqrt(0.2) * generator.normal(size=400_000) - 0.1)
    has = generator.random(len(stream)) < KEPT
    return 0.4 * stream + 0.6 * has / KEPT, has


def test_energies_of_a_sum_as_drawn(drawn):
    energies, _ = drawn
    found = joined([(0.4, STREAM), (0.6, BRANCH)])
    assert found is not None
    assert found.made.present == 1
    for power in (1, 2, -1):
        expected = float((energies**power).mean())
        assert float(MASSES @ np.exp(power * found.made.logs)) == pytest.approx(expected, rel=0.04)


def test_gradients_by_the_energy_of_a_sum_as_drawn(drawn):
    """After a norm, gradients are as 1/e: a branch gets smaller ones, those of examples that have it."""
    energies, has = drawn
    found = joined([(0.4, STREAM), (0.6, BRANCH)])
    assert found is not None
    gradient = GradientScatter.normal(0.0, 0.0).shifted(-found.made.logs)
    assert gradient.mean == pytest.approx(float((1 / energies).mean()), rel=0.04)
    assert found.back(gradient, 0).mean == pytest.approx(float((1 / energies).mean()), rel=0.04)
    of_branch = found.back(gradient, 1)
    assert of_branch.mean == pytest.approx(float((1 / energies)[has].mean()), rel=0.04)
    thinned = of_branch.thinned(KEPT)
    assert (thinned.present, thinned.mean) == (KEPT, pytest.approx(1.0))


def test_a_part_that_is_always_there_is_added():
    found = joined([(0.5, Scatter.normal(0.1, 0.05)), (0.5, Scatter.normal(0.1, 0.05))])
    assert found is not None
    assert found.made.logs == pytest.approx(Scatter.normal(0.1, 0.05).logs)
    assert [way.parts for way in found.ways] == [(0, 1)]


def test_nothing_is_left_of_examples_that_lack_all_parts():
    found = joined([(0.5, BRANCH), (0.5, BRANCH)])
    assert found is not None
    assert found.made.present == pytest.approx(1 - (1 - KEPT) ** 2)
    assert found.made.present * float(MASSES @ np.exp(found.made.logs)) == pytest.approx(1)
    assert joined([(0.2, BRANCH)] * (MOST_DOUBTFUL + 1)) is None


def test_gradients_of_a_stream_and_its_branch():
    stream, branch = GradientScatter.normal(0.0, 0.0), GradientScatter.normal(0.0, 0.0).thinned(0.5)
    both = summed_back([(0.5, stream), (0.5, branch)])
    assert (both.present, both.mean) == (1, pytest.approx(1, rel=0.01))
    rows = np.exp(both.logs[20])
    assert (rows.min(), rows.max()) == (pytest.approx(0.5, rel=0.01), pytest.approx(1.5, rel=0.01))
    alone = summed_back([(0.5, branch), (0.5, branch)])
    assert (alone.present, alone.mean) == (0.75, pytest.approx(1, rel=0.01))


def test_the_logarithm_of_a_mean_over_examples_that_are_there():
    """Of 16 examples, each there with probability 0.5 and with the same energy; never are all of them left out."""
    generator = np.random.default_rng(0)
    number = generator.binomial(16, 0.5, size=100_000)
    logs = np.log(number[number > 0] / 8)
    mean, spread = replace(Scatter(0 * POINTS - log(0.5), 0.0), present=0.5).log_of_mean(16)
    assert (mean, spread) == (pytest.approx(float(logs.mean()), abs=0.005), pytest.approx(float(logs.var()), rel=0.03))


@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm"])
def test_stochastic_depth_before_norms_as_measured(norm):
    """A norm divides by what each example has: gradients of those that lack branches are larger."""
    drop = {"type": "DropPath", "p": 0.6}
    branch = {"norm": norm, "up": {"type": "Linear", "out_features": 96}, "act": "GELU"}
    branch |= {"down": {"type": "Linear", "out_features": 96}, "drop": drop}
    blocks = {"type": "Repeat", "times": 6, "layers": {"block": {"type": "Residual", "layers": branch}}}
    init = {"scheme": "lecun", "distribution": "normal", "gain": "auto"}
    check(mf.parse({"input": {"shape": [96]}, "layers": {"blocks": blocks, "norm": norm}}, init=init), seeds=24)
