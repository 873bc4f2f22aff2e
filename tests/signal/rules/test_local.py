"""Pools by a p-norm and local response norms, as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import chain, check

CONV = {"type": "Conv2d", "out_channels": 48, "kernel_size": 3, "padding": 1}


def net(layer, *between):
    return chain(CONV, *between, layer, CONV, shape=[32, 8, 8], init="kaiming")


@pytest.mark.parametrize("power", [1, 2])
def test_pools_after_an_activation(power):
    check(net({"type": "LPPool2d", "norm_type": power, "kernel_size": 2}, "ReLU"), batch=8)


def test_other_norms_are_not_predicted():
    plan = mf.plan(net({"type": "LPPool2d", "norm_type": 3, "kernel_size": 2}))
    assert "3-norm" in mf.predict(plan).node("lppool2d1").note


@pytest.mark.parametrize("alpha", [1e-4, 0.3])
def test_local_response_norms(alpha):
    check(net({"type": "LocalResponseNorm", "size": 5, "alpha": alpha}, "ReLU"), batch=8)


def test_where_gradients_are_less_sure_a_note_says_so():
    plan = mf.plan(net({"type": "LocalResponseNorm", "size": 5, "alpha": 1.0}))
    assert "smaller than predicted" in mf.predict(plan).node("localresponsenorm1").note
