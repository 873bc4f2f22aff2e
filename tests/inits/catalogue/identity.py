"""Identities of matrices and of convolutions."""

from __future__ import annotations

from modelforge.inits import Matrix
from tests.inits.case import Case
from tests.inits.matrices import EMPTY, MATRICES, TANH

PLAIN = {name: block for name, block in MATRICES.items() if len(block.shape) == 2}
KERNELS = {name: block for name, block in MATRICES.items() if len(block.shape) > 2} | {
    "one dimension": Matrix(shape=(9, 3, 4), fan_in=12, fan_out=36, activations=TANH),
    "three dimensions": Matrix(shape=(3, 6, 3, 2, 1), fan_in=36, fan_out=18, activations=TANH),
    "depthwise": Matrix(shape=(1, 1, 3, 3), fan_in=9, fan_out=9, name="2", start=2, activations=TANH),
    "one number": Matrix(shape=(1, 1, 1), fan_in=1, fan_out=1, activations=TANH),
}
EMPTY_MATRICES = {name: block for name, block in EMPTY.items() if len(block.shape) == 2}
EMPTY_KERNELS = {name: block for name, block in EMPTY.items() if len(block.shape) > 2}

CASES = [
    Case({"scheme": "eye"}, PLAIN, EMPTY_MATRICES),
    Case({"scheme": "identity", "gain": 0.01}, PLAIN, EMPTY_MATRICES),
    Case({"scheme": "eye", "gain": "auto"}, PLAIN, EMPTY_MATRICES),
    Case({"scheme": "dirac"}, KERNELS, EMPTY_KERNELS),
    Case({"scheme": "dirac", "gain": "auto"}, KERNELS, EMPTY_KERNELS),
]
