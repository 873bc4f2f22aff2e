"""Upsampling by transposed convolutions and in front of PixelShuffle."""

from __future__ import annotations

from math import prod

from modelforge.inits import Matrix
from tests.inits.case import Case
from tests.inits.matrices import MATRICES, TANH


def transposed(*shape: int, strides: int) -> Matrix:
    inputs, outputs, *taps = shape
    fan_in, fan_out = inputs * prod(taps) / strides, float(outputs * prod(taps))
    return Matrix(shape=shape, fan_in=fan_in, fan_out=fan_out, input_first=True, activations=TANH)


TRANSPOSED = {
    "by two": transposed(8, 8, 4, 4, strides=4),
    "by two, odd": transposed(16, 8, 3, 3, strides=4),
    "depthwise": transposed(1, 1, 4, 4, strides=4),
    "one dimension": transposed(6, 9, 5, strides=3),
    "three dimensions": transposed(4, 2, 6, 4, 2, strides=6),
    "nothing between": transposed(3, 3, 1, 1, strides=1),
}
NO_CHANNELS = {
    "no inputs": transposed(0, 4, 4, 4, strides=4),
    "no outputs": transposed(4, 0, 4, 4, strides=4),
}
IMAGES = {name: block for name, block in MATRICES.items() if len(block.shape) == 4}
NO_IMAGES = {
    "no inputs": Matrix(shape=(4, 0, 3, 3), fan_in=0, fan_out=36, activations=TANH),
    "no outputs": Matrix(shape=(0, 8, 3, 3), fan_in=72, fan_out=0, activations=TANH),
    "nothing": Matrix(shape=(0, 0, 3, 3), fan_in=0, fan_out=0, activations=TANH),
}

CASES = [
    Case({"scheme": "bilinear"}, TRANSPOSED, NO_CHANNELS),
    Case({"scheme": "icnr", "upscale_factor": 2}, IMAGES, NO_IMAGES),
    Case({"scheme": "icnr", "upscale_factor": 4, "gain": "auto", "distribution": "uniform"}, IMAGES, {}),
    Case({"scheme": "icnr", "upscale_factor": 2, "distribution": "truncated_normal"}, IMAGES, {}),
]
