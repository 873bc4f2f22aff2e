"""Rules of one's own."""

from __future__ import annotations

import pytest
import torch

import modelforge as mf
from modelforge.layers.register import unregister_layer
from modelforge.signal.rule import Node, Passed, passed, unregister_signal
from tests.signal.nets import chain, check


@pytest.fixture
def halve():
    @mf.register_layer(name="HalveForSignal")
    class Halve(torch.nn.Module):
        """Half of what arrives."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / 2

    yield
    unregister_layer("HalveForSignal")


@pytest.mark.usefixtures("halve")
def test_a_layer_of_ones_own_gets_a_rule():
    spec = chain({"type": "Linear", "out_features": 32}, "HalveForSignal", shape=[32], init={"scheme": "xavier"})
    assert mf.predict(mf.plan(spec)).unknown

    @mf.register_signal("HalveForSignal")
    def rule(node: Node) -> Passed:
        return passed(node.signal.times(0.5), lambda gradient: gradient.times(0.5))

    try:
        check(spec)
    finally:
        unregister_signal("HalveForSignal")


def test_two_rules_for_one_layer_are_refused():
    with pytest.raises(ValueError, match="`Linear` exists already"):

        @mf.register_signal("Linear")
        def _rule(node: Node) -> Passed:
            raise NotImplementedError


@pytest.mark.parametrize("way", ["there", "back"])
def test_a_rule_that_fails_ends_no_prediction(way):
    @mf.register_layer
    class Odd(torch.nn.Identity):
        """What a package brings, with a rule that fails."""

    @mf.register_signal("Odd")
    def odd(node: Node) -> Passed:
        if way == "there":
            raise RuntimeError("sizes\n  do not match")
        return passed(node.signal, lambda gradient: gradient.times(1 / 0))

    try:
        linear = {"type": "Linear", "out_features": 8}
        plan = mf.plan(chain(linear, "Odd", linear, shape=[8], init="lecun"))
        prediction = mf.predict(plan)
        mf.solve(plan)
    finally:
        unregister_signal("Odd")
        unregister_layer("Odd")
    assert prediction.node("linear0").gradient is None
    if way == "there":
        note = "unknown from here on: the signal rule of `Odd` fails: sizes do not match"
        assert prediction.node("odd1").note == note
    else:
        assert prediction.node("linear2").signal.second == pytest.approx(1)
