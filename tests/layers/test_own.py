"""The small layers that torch.nn lacks, against what their docstrings say."""

from __future__ import annotations

from math import cos, sin
from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.language import registry


def own(name: str) -> Any:
    """The class of a layer. Who imports its file first would change the order in which layers are listed."""
    return registry.get(name).make


ClassToken, DropPath, Permute, Reshape, Rescale = map(own, ("ClassToken", "DropPath", "Permute", "Reshape", "Rescale"))
PositionEmbedding, SinusoidalEmbedding = own("PositionEmbedding"), own("SinusoidalEmbedding")
RelativePositionBias, SegmentEmbedding = own("RelativePositionBias"), own("SegmentEmbedding")


def decided(layer: Any, shape: tuple[int, ...] = (6, 4), init: Any = "xavier") -> mf.Plan:
    return mf.plan(mf.parse({"input": {"shape": list(shape)}, "layers": {"it": layer}}, init=init))


# --- positions --------------------------------------------------------------------------------------------------------


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


# --- segments, class token, stochastic depth --------------------------------------------------------------------------


def test_segments_are_told_or_all_the_first():
    layer, x = SegmentEmbedding(4, 3), torch.randn(2, 6, 4)
    segments = torch.tensor([[0, 0, 1, 1, 2, 2], [2, 1, 0, 0, 1, 2]])
    assert torch.equal(layer(x), x + layer.weight[0])
    assert torch.equal(layer(x, segments), x + layer.weight[segments])
    (item,) = decided("SegmentEmbedding").parameters
    assert (item.role, item.shape, item.std) == ("embedding", (2, 4), 0.02)


def test_segments_are_a_second_input_of_a_model():
    inputs = {"x": {"shape": [6, 4]}, "segments": {"shape": [6], "dtype": "int64"}}
    layers = {"it": {"type": "SegmentEmbedding", "inputs": ["x", "segments"]}}
    model = mf.build(mf.parse({"input": inputs, "layers": layers}))
    assert model(torch.randn(2, 6, 4), torch.ones(2, 6, dtype=torch.int64)).shape == (2, 6, 4)


def test_a_class_token_comes_first():
    layer, x = ClassToken(4), torch.randn(2, 6, 4)
    y = layer(x)
    assert torch.equal(y[:, 1:], x)
    assert torch.equal(y[:, 0], layer.weight.expand(2, -1))
    (item,) = decided("ClassToken").parameters
    assert (item.role, item.std) == ("embedding", 0.02)


def test_stochastic_depth_zeroes_whole_examples():
    torch.manual_seed(0)
    layer, x = DropPath(0.25), torch.randn(4000, 3, 2)
    y = layer(x)
    kept = y.flatten(1).any(1)
    torch.testing.assert_close(y[kept], x[kept] / 0.75)
    # Six standard errors of a share of 0.75.
    assert abs(kept.float().mean().item() - 0.75) < 6 * (0.75 * 0.25 / 4000) ** 0.5
    assert torch.equal(layer.eval()(x), x)


def test_stochastic_depth_at_its_ends():
    x = torch.randn(5, 3)
    assert torch.equal(DropPath(0.0)(x), x)
    assert not DropPath(1.0)(x).any()
    with pytest.raises(
        mf.ForgeError, match=r"DropPath does not accept these arguments: p must be between 0 and 1, but is 1\.5"
    ):
        decided({"type": "DropPath", "p": 1.5})


# --- shapes and numbers -----------------------------------------------------------------------------------------------


def test_permute_and_reshape():
    x = torch.arange(48.0).reshape(2, 6, 4)
    assert torch.equal(Permute((0, 2, 1))(x), x.transpose(1, 2))
    assert torch.equal(Reshape((2, -1))(x), x.reshape(2, 2, 12))
    assert torch.equal(Reshape(())(x[:, 0, :1]), x[:, 0, 0])
    assert str(decided({"type": "Reshape", "shape": [-1, 3]}).output) == "(8, 3)"


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"type": "Reshape", "shape": [-1, -1]}, "Reshape cannot run on .*: only one dimension can be inferred"),
        ({"type": "Reshape", "shape": [5]}, "Reshape cannot run on .*: shape '.B, 5.' is invalid"),
        ({"type": "Permute", "dims": [2, 1, 0]}, "the batch must stay dimension 0"),
    ],
)
def test_shapes_that_cannot_be(layer, message):
    with pytest.raises(mf.ForgeError, match=message):
        decided(layer)


def test_rescale():
    x = torch.randn(2, 3)
    assert torch.equal(Rescale(0.5)(x), x / 2)


def test_what_they_show():
    layers = [
        PositionEmbedding(9, 4),
        SinusoidalEmbedding(9, 4),
        RelativePositionBias(2, bidirectional=False),
        ClassToken(4),
        SegmentEmbedding(4),
        DropPath(0.1),
        Permute((0, 2, 1)),
        Reshape((2, -1)),
        Rescale(0.5),
    ]
    assert list(map(repr, layers)) == [
        "PositionEmbedding(9, 4)",
        "SinusoidalEmbedding(9, 4)",
        "RelativePositionBias(2, num_buckets=32, max_distance=128, bidirectional=False)",
        "ClassToken(features=4)",
        "SegmentEmbedding(4, num_segments=2)",
        "DropPath(p=0.1)",
        "Permute(dims=(0, 2, 1))",
        "Reshape(shape=(2, -1))",
        "Rescale(factor=0.5)",
    ]


@pytest.mark.parametrize("name", ["PositionEmbedding", "ClassToken", "SegmentEmbedding", "RelativePositionBias"])
def test_values_of_their_own(name):
    more = {"RelativePositionBias": {"num_heads": 8}, "SegmentEmbedding": {"num_segments": 64}}
    layer = {"type": name, **more.get(name, {})}
    model = mf.build(decided(layer, (64, 64), init="torch"))
    (entry,) = model.ledger
    # The error of a sample's spread is σ/√(2·n); six of them.
    spread = model.it.weight.std().item()
    assert abs(spread - 0.02) < 6 * 0.02 / (2 * model.it.weight.numel()) ** 0.5
    assert entry.scheme == "torch"
