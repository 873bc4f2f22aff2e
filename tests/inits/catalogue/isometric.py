"""Isometries: of matrices, of convolutions, of mirrored units."""

from __future__ import annotations

from types import MappingProxyType

from modelforge.inits import Matrix
from tests.inits.case import Case
from tests.inits.matrices import EMPTY, MATRICES, TANH

KERNELS = MappingProxyType(
    {
        "plane": Matrix(shape=(32, 8, 3, 3), fan_in=72, fan_out=288, activations=TANH),
        "square": Matrix(shape=(24, 24, 5), fan_in=120, fan_out=120, activations=TANH),
        "uneven, even sides": Matrix(shape=(16, 12, 2, 4), fan_in=96, fan_out=128, activations=TANH),
        "volume": Matrix(shape=(16, 4, 3, 2, 3), fan_in=72, fan_out=288, activations=TANH),
        "transposed, in groups": Matrix(
            shape=(8, 16, 3, 3), fan_in=72, fan_out=144, name="1", start=8, input_first=True
        ),
        "one tap": Matrix(shape=(64, 64, 1), fan_in=64, fan_out=64, activations=TANH),
    }
)
EMPTY_KERNELS = MappingProxyType(
    {
        "nothing": Matrix(shape=(0, 0, 3), fan_in=0, fan_out=0),
        "no inputs": Matrix(shape=(4, 0, 3, 3), fan_in=0, fan_out=36),
    }
)
LAST = MappingProxyType({"10 outputs": Matrix(shape=(9, 400), fan_in=400, fan_out=9, activations=TANH)})
FIRST = MappingProxyType({"3 channels": Matrix(shape=(64, 3, 5, 5), fan_in=75, fan_out=1600, activations=TANH)})
NO_HALVES = MappingProxyType(
    {"nothing": EMPTY["nothing"], "no outputs": Matrix(shape=(0, 4), fan_in=4, fan_out=0, activations=TANH)}
)
POWERS = MappingProxyType(
    {
        "to a power of 2": Matrix(shape=(64, 40), fan_in=40, fan_out=64),
        "by one": Matrix(shape=(65, 64), fan_in=64, fan_out=65),
        "from one": Matrix(shape=(100, 1), fan_in=1, fan_out=100),
        "kernel": Matrix(shape=(48, 20, 4, 3), fan_in=240, fan_out=576),
    }
)

CASES = [
    Case({"scheme": "orthogonal", "preserve": "coordinate"}),
    Case({"scheme": "orthogonal", "preserve": "coordinate", "gain": "auto", "method": "svd"}),
    Case({"scheme": "delta_orthogonal"}, KERNELS, EMPTY_KERNELS),
    Case({"scheme": "delta_orthogonal", "gain": 2.0}, KERNELS, EMPTY_KERNELS),
    Case({"scheme": "conv_orthogonal"}, KERNELS, EMPTY_KERNELS),
    Case({"scheme": "conv_orthogonal", "gain": 2.0}, KERNELS, EMPTY_KERNELS),
    Case({"scheme": "looks_linear"}, {name: block for name, block in MATRICES.items() if name != "one row"}, NO_HALVES),
    Case({"scheme": "looks_linear", "gain": "auto", "part": "first"}, FIRST, NO_HALVES),
    Case({"scheme": "looks_linear", "gain": 2.0, "part": "last"}, LAST, NO_HALVES),
    Case({"scheme": "zero"}, MATRICES | POWERS),
]
