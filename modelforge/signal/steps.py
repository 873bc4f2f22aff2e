"""All steps of a recurrent layer, forward and back, and how alike neighbouring ones are."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from modelforge.signal.cells import APART, Alike, Cell, Step

SAME = 1e-12
"""The relative change of states in a step after which they are the same from then on."""


def run(cell: Cell, energies: np.ndarray, alike: Alike = APART) -> list[Step]:
    """All steps from states of 0; where nothing changes any more, the rest is the same."""
    steps: list[Step] = []
    state = (0.0,) * (cell.num_states + 1)
    for energy in energies.tolist():
        last = steps[-1] if steps else None
        stays = last is not None and last.x == energy and _same(last.state, state)
        steps.append(last if stays and last is not None else cell.step(energy, state, alike))
        state = steps[-1].made
    return steps


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) <= SAME * abs(b) for a, b in zip(one, other, strict=True))


def run_back(cell: Cell, steps: list[Step], arriving: np.ndarray, alike: Alike = APART) -> tuple[np.ndarray, Alike]:
    """The gradient energies of the inputs of all steps, from those of what steps give, and how alike neighbours are.

    Args:
        cell: The cell.
        steps: All steps.
        arriving: Gradient energies of what they give.
        alike: How alike these are in neighbouring steps, in units of their energy.
    """
    sent, near = np.zeros(len(steps)), np.zeros((len(steps), 2))
    state, later = (0.0,) * (cell.num_states + 1), 0.0
    sizes = np.sqrt(arriving).tolist()
    for place in range(len(steps) - 1, -1, -1):
        step = steps[place]
        state = (state[0] + float(arriving[place]), *state[1:])
        gathered, coming = cell.gathered(step, state)
        kept, size = cell.memory(step)[0] * later, sqrt(gathered * later)
        if kept + coming > 0 and size > 0:
            decay = kept / size + coming * alike.decay / (kept + coming)
            both = cell.sent(step, Alike(min(1.0, (kept + coming) / size), min(1.0, decay)))
            near[place] = both.covariance, both.decay
        beside = Alike(alike.covariance * sizes[place] * sizes[max(0, place - 1)], alike.decay)
        sent[place], state = cell.back(step, state, beside)
        later = gathered
    weights = sent * (near[:, 1] > 0)
    total = float(weights.sum())
    return sent, Alike(*(weights @ near / total).tolist()) if total else APART


def likeness(cell: Cell, step: Step, count: int) -> np.ndarray:
    """E h h′ in units of E h², by the number of steps between, from 1 to `count`.

    Formula: c(k) = f^k + a·Σ f^j·ρ^(k - 1 - j) for a part f that stays and a part a that comes of numbers alike
    """
    kept, coming, part = cell.memory(step)
    decay = step.alike.decay
    found = np.zeros(count)
    stays, comes, power = 1.0, 0.0, 1.0
    for place in range(count):
        stays, comes, power = kept * stays, kept * comes + power, power * decay
        found[place] = part * (stays + coming * comes)
    return np.minimum(found, 1.0)
