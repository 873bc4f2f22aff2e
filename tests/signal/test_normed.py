"""What norms make of a signal and its gradient."""

from __future__ import annotations

import pytest

import modelforge as mf


def test_epsilon_takes_its_share_forward_and_back():
    """E y² = v/(v + ε), and E g² is divided by v + ε."""
    layer = {"type": "RMSNorm", "normalized_shape": 4096, "eps": 1.0}
    plan = mf.plan(mf.parse({"input": {"shape": [4096]}, "layers": {"norm": layer}}))
    prediction = mf.predict(plan, batch_size=16)
    assert prediction.node("norm").signal.second == pytest.approx(0.5, rel=1e-3)
    assert prediction.node("input").gradient.energy == pytest.approx(0.5, rel=1e-3)
