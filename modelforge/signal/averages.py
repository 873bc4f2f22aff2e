"""What averages over positions take away of energies: no initial value should make up for that.

The mean of n positions has 1/n of their energy where they are independent, as random inputs are; those of real data are
alike. Backward, each position gets 1/n of a gradient: n equal parts, which add up again in the weights before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from modelforge.signal.flow import LeafLayer
from modelforge.signal.rule import RULES


def lost_to_averages(
    way: Sequence[str], leaves: Mapping[str, LeafLayer], energies: Mapping[str, float], sizes: Mapping[str, int]
) -> dict[str, float]:
    """By what averages have divided energies, from the first of some layers to each of them.

    Args:
        way: Paths of layers, each of which reads the one before; for gradients, the other way round.
        leaves: The layers by path.
        energies: Of what a layer gives, where known: E x², or the squared length of the gradient.
        sizes: The numbers in what a layer gives.
    """
    factor = 1.0
    found = dict.fromkeys(way[:1], factor)
    for before, after in pairwise(way):
        ratio = sizes.get(before, 0) / (sizes.get(after) or 1)
        average, num_positions = (after, ratio) if ratio > 1 else (before, 1 / ratio if ratio else 1.0)
        if _averages(leaves.get(average)) and energies.get(before) and energies.get(after):
            # What else is lost there, such as the rest of a signal that others read too, is not made up for.
            factor *= min(max(energies[before] / energies[after], 1.0), num_positions)
        found[after] = factor
    return found


def _averages(leaf: LeafLayer | None) -> bool:
    return leaf is not None and leaf.layer.type in RULES and RULES.get(leaf.layer.type).averages
