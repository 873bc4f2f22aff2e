"""Gates, bilinear layers and comparisons as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import chain, check

LINEAR = {"type": "Linear", "out_features": 64}
BIASED = {"scheme": "kaiming", "bias": {"scheme": "constant", "value": 0.5}}


def two(layer, init="kaiming"):
    """A layer that reads two linear ones."""
    layers = {name: LINEAR | {"inputs": "input"} for name in ("one", "other")}
    return mf.parse(
        {"input": {"shape": [5, 48]}, "layers": {**layers, "both": {"inputs": ["one", "other"]} | layer}}, init
    )


@pytest.mark.parametrize("shape", [[64], [5, 64]], ids=str)
def test_gated_linear_units(shape):
    check(chain(LINEAR, "GLU", LINEAR, "GLU", LINEAR, shape=shape, init=BIASED))


def test_gates_of_channels():
    conv = {"type": "Conv2d", "out_channels": 32, "kernel_size": 1}
    check(chain(conv, {"type": "GLU", "dim": 1}, conv, shape=[16, 5, 5], init="kaiming"))


@pytest.mark.parametrize("init", ["kaiming", BIASED], ids=["plain", "biased"])
@pytest.mark.parametrize("layer", [{"type": "Bilinear", "out_features": 32}, {"type": "CosineSimilarity", "dim": -1}])
def test_two_inputs(layer, init):
    check(two(layer, init))


def test_distances():
    """Forward only: the gradient points along the signal, which the note says."""
    plan = mf.plan(two({"type": "PairwiseDistance"}))
    node = mf.predict(plan).node("both")
    assert node.signal.second == pytest.approx(2 * 64 * 2.0)
    assert "larger than predicted" in node.note
    assert "not Euclidean" in mf.predict(mf.plan(two({"type": "PairwiseDistance", "p": 1}))).node("both").note
