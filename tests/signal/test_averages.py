"""lost_to_averages: what counts as taken away by a mean over positions, and what does not."""

from __future__ import annotations

import pytest

import modelforge as mf
from modelforge.signal.averages import lost_to_averages
from modelforge.signal.flow import flow

WAY = ("input", "act", "pool")
SIZES = {"input": 64, "act": 64, "pool": 4}


def lost(energies, *, backward=False, pool="AvgPool1d"):
    layers = {"act": "Tanh", "pool": {"type": pool, "kernel_size": 16}}
    plan = mf.plan(mf.parse({"input": {"shape": [4, 16]}, "layers": layers}, init="xavier"))
    leaves = {leaf.layer.path: leaf for leaf in flow(plan).leaves}
    named = dict(zip(WAY, energies, strict=True))
    return lost_to_averages(WAY[::-1] if backward else WAY, leaves, named, SIZES)


@pytest.mark.parametrize(("energy", "factor"), [(1 / 16, 16), (1 / 4, 4), (1.0, 1), (1e-6, 16)])
def test_at_most_the_number_of_positions(energy, factor):
    assert lost([1.0, 1.0, energy])["pool"] == factor
    assert lost([energy, energy, 1.0], backward=True) == {"pool": 1, "act": factor, "input": factor}


def test_other_layers_lose_for_good():
    assert lost([1.0, 0.01, 0.01]) == {"input": 1, "act": 1, "pool": 1}
    assert lost([1.0, 1.0, 0.1], pool="MaxPool1d")["pool"] == 1


def test_energies_that_are_not_known_count_as_kept():
    unknown = lost([1.0, 1.0, 0.0])
    assert unknown["pool"] == 1
