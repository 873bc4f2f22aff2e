"""Biases that are probabilities."""

from __future__ import annotations

from modelforge.inits import Matrix
from tests.inits.case import Case

BIAS = {"bias": Matrix(shape=(80,), fan_in=80, fan_out=80)}
EMPTY = {"bias": Matrix(shape=(0,), fan_in=0, fan_out=0)}

CASES = [
    Case({"scheme": "prior_probability"}, BIAS, EMPTY),
    Case({"scheme": "prior_probability", "prob": 0.9}, BIAS, EMPTY),
]
