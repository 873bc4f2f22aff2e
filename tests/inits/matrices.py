"""Blocks of every kind, for tests of schemes."""

from __future__ import annotations

import torch

from modelforge.inits import Activation, Matrix

TANH = (Activation("Tanh", torch.tanh),)
MATRICES = {
    "wide": Matrix(shape=(40, 90), fan_in=90, fan_out=40, activations=TANH),
    "tall": Matrix(shape=(90, 40), fan_in=40, fan_out=90, activations=TANH),
    "square": Matrix(shape=(64, 64), fan_in=64, fan_out=64, activations=TANH),
    "one row": Matrix(shape=(1, 3000), fan_in=3000, fan_out=1, activations=TANH),
    "convolution": Matrix(shape=(16, 8, 5, 5), fan_in=200, fan_out=400, activations=TANH, kind="convolution"),
    "transposed convolution": Matrix(
        shape=(8, 16, 5, 5), fan_in=200, fan_out=400, input_first=True, activations=TANH, kind="convolution"
    ),
}
EMPTY = {
    "no outputs": Matrix(shape=(0, 5), fan_in=5, fan_out=0, activations=TANH),
    "no inputs": Matrix(shape=(5, 0), fan_in=0, fan_out=5, activations=TANH),
    "nothing": Matrix(shape=(0, 0), fan_in=0, fan_out=0, activations=TANH),
    "empty convolution": Matrix(shape=(4, 0, 3, 3), fan_in=0, fan_out=36, activations=TANH, kind="convolution"),
}
VECTORS = {
    "a vector of 8": Matrix(shape=(8,), fan_in=4, fan_out=8),
    "a single number": Matrix(shape=(), fan_in=1, fan_out=1),
}
