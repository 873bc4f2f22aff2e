"""muP: the learning rates that initializers state, as far as an optimizer follows their rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from modelforge.core.errors import Problem
from modelforge.inits.schemes.width import LEARNING_RATE
from modelforge.train.arguments import misuse

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from modelforge.planning.assign import ParameterPlan

RULES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "sgd": frozenset({"SGD"}),
        "adam": frozenset({"Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop"}),
    }
)
"""The rules that an initializer's learning rates are for, and the optimizers that follow them: steps in proportion to
the gradient, or of a size that its scale does not change. Width affects all others (by sign, norm or spectrum) in other
ways."""


def rates(kind: type[Optimizer], parameters: Iterable[ParameterPlan]) -> tuple[Mapping[str, float], list[Problem]]:
    """By what the learning rate of each parameter is multiplied, by path, and what keeps an optimizer from it."""
    own = next((rule for rule, names in RULES.items() if kind.__name__ in names), None)
    if own is None:
        message = f"`mup` knows no learning rates for {kind.__name__}"
        hint = f"choose one of {', '.join(sorted(frozenset().union(*RULES.values())))}"
        return {}, [misuse("optimizer.type", message, hint)]
    stated = {item.path: item.numbers for item in parameters if LEARNING_RATE in item.numbers}
    meant = {numbers["optimizer"] for numbers in stated.values()}
    if not stated:
        message = "`mup` takes learning rates from the initializers, but none states any"
        return {}, [
            misuse(
                "optimizer.mup", message, "write an `init` that knows the width: `scheme: mup` or `scheme: spectral`"
            )
        ]
    if meant != {own}:
        other = min(meant - {own})
        message = f"the initializers state learning rates for {other}, but the optimizer is {kind.__name__}"
        return {}, [misuse("optimizer.type", message, f"give them `optimizer: {own}`")]
    return {path: float(numbers[LEARNING_RATE]) for path, numbers in stated.items()}, []
