"""Padding layers: zeros or a number around, or copies of what is inside."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod

import numpy as np
from torch import Tensor
from torch.nn.functional import pad

from modelforge.core.frozen import FrozenDict
from modelforge.signal.resampled import matrix_of, resampled
from modelforge.signal.rule import Node, Passed, register_signal
from modelforge.signal.rules.dense import as_units
from modelforge.signal.shape import Shape
from modelforge.signal.taps import spread
from modelforge.signal.value import Signal

MODES = {"Circular": "circular", "Reflection": "reflect", "Replication": "replicate"}


@register_signal(
    *("ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d"),
    *("CircularPad1d", "CircularPad2d", "CircularPad3d", "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d"),
    *("ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d"),
)
def padded(node: Node) -> Passed:
    """Zeros around have no energy, copies that of what they copy; gradients of copies add up.

    Formula: E y² = s·E x² + (1 - s)·c² for a share s of positions inside and a number c around
    """
    signal, shape, arguments = as_units(node.signal, 1), node.shape(1), node.layer.arguments
    mode = next((mode for name, mode in MODES.items() if node.layer.type.startswith(name)), "constant")
    pads = spread(arguments["padding"], 2 * (len(shape.sizes) - 2))
    ends = zip(pads[-2::-2], pads[::-2], strict=True)  # the last dimension comes first
    matrices = [
        matrix_of(partial(_around, before, after, mode), size)
        for (before, after), size in zip(ends, signal.shape.sizes[2:], strict=True)
    ]
    result, number = resampled(signal, shape, matrices), arguments.get("value", 0)
    if mode != "constant" or number == 0:
        return result
    inside = [matrix.sum(axis=1) for matrix in matrices]
    return replace(result, outputs={(): _with(result.outputs[()], shape, inside, number)})


def _around(before: int, after: int, mode: str, x: Tensor) -> Tensor:
    return pad(x, (before, after), mode)


def _with(inner: Signal, shape: Shape, inside: list[np.ndarray], number: float) -> Signal:
    """The signal with a number where it has none."""
    kept = [float(one.mean()) for one in inside]
    out = 1 - prod(kept)
    crossed = 2 * inner.mean * out * number
    second = inner.second + out * number**2
    shapes: dict[int, np.ndarray] = {}
    for axis, one in enumerate(inside, start=2):
        others = prod(share for place, share in enumerate(kept, start=2) if place != axis)
        energy = inner.second * inner.profile.get(axis, np.ones(len(one))) + (1 - one * others) * number**2
        if len(one) == shape.sizes[axis]:
            shapes[axis] = energy / energy.mean()
    return replace(
        inner,
        mean=inner.mean + out * number,
        second=second,
        along=inner.along + crossed + out**2 * number**2,
        across=inner.across + crossed + out**2 * number**2,
        profile=FrozenDict(shapes),
        third=0.0,
    )
