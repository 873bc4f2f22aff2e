"""Biases of gates."""

from __future__ import annotations

from modelforge.inits import Matrix
from tests.inits.case import Case

FORGET = {"forget gate": Matrix(shape=(64,), fan_in=64, fan_out=64, name="f")}
EMPTY = {"forget gate": Matrix(shape=(0,), fan_in=0, fan_out=0, name="f")}
UPDATE = {"update gate": Matrix(shape=(64,), fan_in=64, fan_out=64, name="z", addend=1)}

CASES = [
    Case({"scheme": "gates", "forget": 1.0}, FORGET, EMPTY),
    Case({"scheme": "gates", "update": 1.0}, UPDATE, {}),
]
