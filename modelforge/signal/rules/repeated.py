"""Sums and products that read one tensor several times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial, wraps

import torch

from modelforge.core.matrix import Activation
from modelforge.signal.rule import Index, Node, Passed, Predict, Unpredictable, passed
from modelforge.signal.rules.elementwise import activated
from modelforge.signal.value import Gradient

Several = Callable[[Node, int], Passed]
"""What a layer makes of one tensor that it reads so many times."""


def times(node: Node, count: int) -> Passed:
    """A tensor added to itself: E y² = k²·E x², E g² ← k²·E g²."""
    return passed(node.signal.times(float(count)), lambda gradient: gradient.times(float(count)))


def power(node: Node, count: int) -> Passed:
    """A tensor times itself: y = xᵏ, element by element."""
    return activated(node, _power(count))


@lru_cache(maxsize=16)
def _power(count: int) -> Activation:
    return Activation(f"power {count}", partial(torch.pow, exponent=count))


def each_once(several: Several) -> Callable[[Predict], Predict]:
    """Makes a rule for signals that do not depend on each other right where some are one tensor.

    Where two that are not one depend on each other, the rule is not asked.
    """

    def around(predict: Predict) -> Predict:
        @wraps(predict)
        def ask(node: Node) -> Passed:
            if node.dependent:
                raise Unpredictable("what it joins depends on each other: no drawn weights are between")
            places = {name: [at for at, one in enumerate(node.sources) if one == name] for name in node.sources}
            if len(places) == len(node.sources) or None in node.signals:
                return predict(node)
            return _asked(node, [*places.values()], several, predict)

        return ask

    return around


def _asked(node: Node, places: list[list[int]], several: Several, predict: Predict) -> Passed:
    ones = [several(replace(node, signals=(node.signals[at[0]],)), len(at)) if len(at) > 1 else None for at in places]
    read = [node.signals[at[0]] if one is None else one.outputs[()] for one, at in zip(ones, places, strict=True)]
    result = predict(replace(node, signals=tuple(read), sources=()))

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        found: dict[int, Gradient | None] = {}
        for one, at, sent in zip(ones, places, result.back(gradients), strict=True):
            whole = sent if one is None or sent is None else one.back({(): sent})[0]
            # The gradients of all places add up to that of the tensor.
            found |= dict.fromkeys(at, whole and whole.amplified(1 / len(at)))
        return tuple(found[place] for place in range(len(node.signals)))

    return replace(result, back=back)
