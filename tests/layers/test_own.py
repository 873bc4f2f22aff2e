"""The small layers that torch.nn lacks, against what their docstrings say."""

from __future__ import annotations

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
