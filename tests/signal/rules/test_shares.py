"""Softmax and its relatives as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import chain, check

LINEAR, FOUR = ({"type": "Linear", "out_features": count} for count in (64, 4))
BIASED = {"scheme": "kaiming", "bias": {"scheme": "normal", "std": 0.3}}


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize(("dim", "first"), [(-1, LINEAR), (-1, FOUR), (1, LINEAR)], ids=["64", "4", "steps"])
def test_steps(kind, dim, first):
    check(chain(first, {"type": kind, "dim": dim}, LINEAR, shape=[6, 64], init=BIASED))


def test_pictures():
    conv = {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1, "padding_mode": "circular"}
    check(chain(conv, "Softmax2d", conv, shape=[16, 5, 5], init="kaiming"))


def test_softmin_is_softmax_of_a_symmetric_signal():
    one, other = (
        mf.predict(mf.plan(chain(LINEAR, {"type": kind, "dim": -1}, shape=[64], init="kaiming"))).nodes[2].signal.second
        for kind in ("Softmax", "Softmin")
    )
    assert one == other
