"""Positions: learned vectors, waves and biases by distance, against their formulas."""

from __future__ import annotations

from math import cos, sin

import pytest
import torch

import modelforge as mf
from tests.layers.test_own import PositionEmbedding, RelativePositionBias, SinusoidalEmbedding, decided


@pytest.mark.parametrize("name", ["PositionEmbedding", "SinusoidalEmbedding"])
def test_a_table_is_as_long_as_the_input_or_longer(name):
    assert decided(name).layers[0].arguments["num_positions"] == 6
    plan = decided({"type": name, "num_positions": 9})
    assert plan.layers[0].arguments["num_positions"] == 9
    longer, short = mf.build(plan), torch.randn(2, 4, 4)
    assert longer(short).shape == (2, 4, 4)
    with pytest.raises(mf.ForgeError, match=r"`num_positions` must be at least 6, as \(6, 4\) arrives .*, but is 5"):
        decided({"type": name, "num_positions": 5})
    with pytest.raises(mf.ForgeError, match=r"`embedding_dim` must be 4, as \(6, 4\) arrives .*, but is 5"):
        decided({"type": name, "embedding_dim": 5})


def test_learned_positions():
    layer, x = PositionEmbedding(9, 4), torch.randn(2, 6, 4)
    assert torch.equal(layer(x), x + layer.weight[:6])


@pytest.mark.parametrize("dim", [4, 5])
def test_sinusoidal_positions(dim):
    layer = SinusoidalEmbedding(9, dim)
    found = layer(torch.zeros(2, 6, dim))
    for step in range(6):
        for feature in range(dim):
            wave = cos if feature % 2 else sin
            expected = wave(step / 10000 ** ((feature - feature % 2) / dim))
            assert found[1, step, feature].item() == pytest.approx(expected, abs=1e-6)
    assert not layer.state_dict()
    assert not list(layer.parameters())


def test_relative_positions_share_what_is_equally_far_away():
    layer = RelativePositionBias(3)
    bias = layer(torch.zeros(2, 200, 4))
    assert bias.shape == (2, 3, 200, 200)
    assert bias.stride(0) == 0
    assert torch.equal(bias[:, :, 1:, 1:], bias[:, :, :-1, :-1])
    assert layer(torch.zeros(2, 5, dtype=torch.int64)).shape == (2, 3, 5, 5)


def test_buckets():
    """Of 8, half are for later steps; distances 0 and 1 have one each, 2 and 3 share one, all from 4 on another."""
    distances = torch.tensor([-9, -8, -4, -3, -2, -1, 0, 1, 2, 3, 4, 8, 9])
    both = RelativePositionBias(1, num_buckets=8, max_distance=8)
    assert both.buckets(distances).tolist() == [3, 3, 3, 2, 2, 1, 0, 5, 6, 6, 7, 7, 7]
    earlier = RelativePositionBias(1, num_buckets=4, max_distance=8, bidirectional=False)
    assert earlier.buckets(distances).tolist() == [3, 3, 3, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_buckets": 6, "max_distance": 1}, "max_distance must be more than 1, the distances that have a bucket"),
        ({"num_buckets": 7}, "num_buckets must be even and at least 4, but is 7"),
        ({"num_buckets": 2}, "num_buckets must be even and at least 4, but is 2"),
        ({"num_buckets": 1, "bidirectional": False}, "num_buckets must be at least 2, but is 1"),
    ],
)
def test_buckets_that_cannot_be(arguments, message):
    with pytest.raises(mf.ForgeError, match=message):
        decided({"type": "RelativePositionBias", "num_heads": 2, **arguments})
