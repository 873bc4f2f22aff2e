"""The edge of chaos: weights, and the biases that belong to them."""

from __future__ import annotations

import torch

from modelforge.inits import Activation, Matrix
from tests.inits.case import Case
from tests.inits.matrices import TANH

RELU = (Activation("ReLU", torch.relu),)
BIASES = {
    "bias": Matrix(shape=(3000,), fan_in=3000, fan_out=3000, activations=TANH, role="bias"),
    "bias of keys": Matrix(shape=(1, 1, 2000), fan_in=2000, fan_out=1, activations=TANH, role="bias"),
}
NO_BIASES = {
    "bias of a ReLU": Matrix(shape=(64,), fan_in=64, fan_out=64, activations=RELU, role="bias"),
    "bias of nothing": Matrix(shape=(64,), fan_in=64, fan_out=64, activations=()),
    "second of two biases": Matrix(shape=(64,), fan_in=64, fan_out=64, activations=TANH, addend=1),
}
EMPTY = {"no biases": Matrix(shape=(0,), fan_in=0, fan_out=0, activations=TANH, role="bias")}

CASES = [
    Case({"scheme": "critical"}),
    Case({"scheme": "edge_of_chaos", "activation": "GELU(approximate=tanh)", "q": 2.0, "distribution": "uniform"}),
    Case({"scheme": "critical", "distribution": "truncated_normal", "truncate": 1.5}),
    Case({"scheme": "critical", "q": 0.5}, BIASES, EMPTY),
    Case({"scheme": "critical", "distribution": "uniform"}, NO_BIASES, EMPTY),
]
