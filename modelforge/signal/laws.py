"""What a rule does with elements that are no normal numbers of one law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite

import numpy as np
import torch

from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Activation
from modelforge.inits.gains.statistics import evaluate
from modelforge.signal.elements import Elements
from modelforge.signal.moments import single
from modelforge.signal.rule import Index, Passed, Unpredictable, passed
from modelforge.signal.value import Gradient, Signal

UNEVEN = 0.25
"""The relative variance of energies along a dimension from which on they are of several laws."""
OF_ACTIVATION = "what an activation made, and that is not normal"
OF_DROPOUT = "what a dropout left, and that is not normal"
CENTRED = 1e-6
"""The share of the energy that counts as no mean."""


def bent(function: Activation, signal: Signal) -> Elements:
    """What an activation makes of elements, which it takes as normal numbers of one law.

    Raises:
        Unpredictable: they are not.
    """
    elements = signal.elements
    uneven = any(float(shape.var()) > UNEVEN for shape in signal.profile.values())
    if uneven and not _keeps_scale(function):
        raise Unpredictable("it reads positions of several variances side by side")
    if signal.scatter is not None and signal.scatter.present < 1 and evaluate(function.function, torch.zeros(1)) != 0:
        raise Unpredictable("some examples are 0 before it, and it makes another number of them")
    if elements is None:
        return Elements(bent=OF_ACTIVATION)
    if elements.bent:
        raise Unpredictable(f"it reads {elements.bent}")
    if elements.thinned and not _keeps_scale(function):
        raise Unpredictable(f"it reads {OF_DROPOUT}")
    if elements.apart and not (_keeps_scale(function) and signal.mean**2 <= CENTRED * signal.second):
        raise Unpredictable("it reads units of several variances side by side")
    return replace(elements, bent=OF_ACTIVATION, thinned=False, lean=None)


def again(function: Activation, signal: Signal) -> Passed | None:
    """What an activation makes of its own values, such as a second ReLU: the same; None where that is not sure.

    Formula: φ(φ(z)) = φ(z), and φ′(φ(z)) = 0 where φ′(z) is
    """
    before = signal.preactivation
    if before is None or before.activation != function:
        return None
    x = torch.linspace(-8.0, 8.0, 65, dtype=torch.float64)
    with torch.no_grad():
        once = before.activation.function(x)  # of that name, with arguments of its own
        same = torch.equal(function.function(once), once)
    share = single(function, before.mean, before.variance).slope_second
    if not same or share == 0:
        return None
    return passed(signal, lambda gradient: replace(gradient.amplified(share), tilt=gradient.tilt / share))


def _keeps_scale(function: Activation) -> bool:
    """Whether φ(2x) = 2·φ(x): the mean over laws is then that of their mean energy."""
    x = torch.linspace(-8.0, 8.0, 33, dtype=torch.float64)
    with torch.no_grad():
        return torch.allclose(function.function(2 * x), 2 * function.function(x))


def tail_of_unit(signal: Signal) -> float:
    """Relative variance of the squares of the elements of a unit about its mean.

    Formula: (1 + κ)/E v² - 1 of the κ of all units, v their variances with mean 1
    """
    if signal.elements is None or signal.elements.variances is None:
        return signal.central_tail
    return max(0.0, (1 + signal.central_tail) / float((signal.elements.variances**2).mean()) - 1)


def by_laws(result: Passed, signal: Signal, channels: int, eps: float) -> Passed:
    """The result of a norm over units of several variances: it divides each group of them by its own.

    Args:
        result: As if they were alike.
        signal: What it reads.
        channels: Units in a group.
        eps: The norm's ε over the mean variance.
    """
    elements = signal.elements
    if elements is None:
        return result
    groups = elements.by_group(channels)
    output, variances = result.outputs[()], elements.variances
    if groups is None or variances is None or not isfinite(eps):
        return replace(result, outputs={(): replace(output, elements=_left(elements, variances))})
    uneven = variances / np.maximum(groups, 1e-12)
    left = _left(elements, uneven / uneven.mean() if uneven.max() > (1 + 1e-9) * uneven.min() else None)
    row = (1 + eps) / (groups + eps)

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        return tuple(gradient and _along(gradient, signal.shape.units, row) for gradient in result.back(gradients))

    return replace(result, outputs={(): replace(output, elements=left)}, back=back)


def _left(before: Elements, variances: np.ndarray | None) -> Elements | None:
    """Elements of other variances, which are no more normal than before."""
    if not (before.bent or before.thinned or variances is not None):
        return None
    return Elements(before.bent, before.thinned, variances=variances)


def _along(gradient: Gradient, axis: int, row: np.ndarray) -> Gradient:
    """The gradient with each index of a dimension amplified by its own factor."""
    shape = row * gradient.profile.get(axis, np.ones(len(row)))
    mean = float(shape.mean())
    return replace(gradient.amplified(mean), profile=FrozenDict({**gradient.profile, axis: shape / mean}))


def part_of(gradient: Gradient, axis: int, start: int, size: int) -> Gradient:
    """The gradient of a part of a tensor along a dimension."""
    row = gradient.profile.get(axis)
    if row is None:
        return gradient
    part = row[start : start + size]
    mean = float(part.mean()) if size else 0.0
    others = {key: it for key, it in gradient.profile.items() if key != axis}
    own = {axis: part / mean} if mean > 0 and (part != part[0]).any() else {}
    return replace(gradient.amplified(mean), profile=FrozenDict(others | own))
