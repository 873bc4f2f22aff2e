"""Variance scaling under its own name, and torch's default."""

from __future__ import annotations

from tests.inits.case import Case

CASES = [
    Case({"scheme": "variance_scaling"}),
    Case({"scheme": "variance_scaling", "gain": "relu", "mode": "fan_avg", "distribution": "uniform"}),
    Case({"scheme": "variance_scaling", "gain": 0.3, "mode": "fan_geo", "distribution": "truncated_normal"}),
    Case({"scheme": "torch_default"}),
]
