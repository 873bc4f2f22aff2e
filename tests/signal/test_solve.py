"""Solved initial values: closed forms, overrides that lead back to what was predicted, and what they are worth."""

from __future__ import annotations

from math import sqrt

import pytest

import modelforge as mf
from tests.signal.nets import mlp

XAVIER = {"scheme": "xavier", "distribution": "normal"}


def gains(solution):
    return {change.before.path: change.fields.get("gain") for change in solution.changes}


def test_signals_of_a_chain_have_closed_forms():
    """σ_w² = 1/E φ(z)²: 2 for ReLU, 1/0.394294 for tanh (INIT.md's V at 1), 1/0.425221 for GELU."""
    for activation, second in {"ReLU": 0.5, "Tanh": 0.394294, "GELU": 0.425221}.items():
        solution = mf.solve(mf.plan(mlp(activation, 4, 32, XAVIER)))
        assert set(gains(solution)) == {"linear2.weight", "linear4.weight", "linear6.weight"}
        assert all(gain == pytest.approx(1 / sqrt(second), rel=1e-4) for gain in gains(solution).values())
        energies = [node.signal.second for node in solution.after.nodes if node.type == "Linear"]
        assert energies == pytest.approx([1] * 4, rel=1e-3)
