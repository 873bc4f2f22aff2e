"""The tree with predicted strengths."""

from __future__ import annotations

from math import sqrt

import pytest

import modelforge as mf
from modelforge.report.table import to_text
from modelforge.signal.tree import facts, signals_tree
from tests.signal.nets import chain, mlp


def test_stds_and_gradients_of_a_relu_net():
    """E x² = 1 before a ReLU, whose output has mean 1/√(2π), so variance ½ - 1/(2π)."""
    plan = mf.plan(mlp("ReLU", 2, 64, {"scheme": "kaiming"}))
    known = facts(plan, mf.predict(plan))
    assert known["linear2"]["std"] == pytest.approx(sqrt(2 * 1.0), rel=1e-6)
    assert known["relu1"]["std"] == pytest.approx(sqrt(2 * (0.5 - 1 / (2 * 3.14159265))), rel=1e-6)
    assert known["linear2"]["gradient"] == pytest.approx(sqrt(0.5), rel=1e-6)
    assert known["linear2"]["read_by"] == "ReLU"
    assert known["relu1"]["read_by"] is None


@pytest.mark.parametrize("width", [80, 120])
def test_names_and_stds_are_whole_at_any_width(width):
    plan = mf.plan(mf.load("conf", overrides=["model=transformer", "init=xavier_normal"]))
    lines = to_text(signals_tree(plan, mf.predict(plan)), width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert lines[0].split()[0] == "layer"
    assert any(line.strip().startswith("contract") and "0.4826" in line for line in lines)


def test_what_is_not_known_says_why():
    unknown = {"type": "LPPool1d", "norm_type": 3, "kernel_size": 2}
    plan = mf.plan(chain(unknown, "ReLU", shape=[4, 8], init=None))
    text = to_text(signals_tree(plan, mf.predict(plan)), 160)
    assert "unknown from here on: pools by the 3-norm have no closed form" in text
