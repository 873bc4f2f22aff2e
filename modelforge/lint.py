"""lint: decided parameters → warnings. What is legal, but rarely meant."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from modelforge.errors import Problem
from modelforge.rules import ParameterPlan


def lint(parameters: Iterable[ParameterPlan]) -> list[Problem]:
    """All warnings about how parameters start; one a rule and layer, not one a parameter.

    Example:
        >>> from modelforge.plan import plan
        >>> from modelforge.spec import parse
        >>> layers = {"head": {"type": "Linear", "out_features": 2, "init": {"scheme": "constant", "value": 0.1}}}
        >>> [warning.code for warning in plan(parse({"input": {"shape": [4]}, "layers": layers})).warnings]
        ['MW101']
    """
    return list(dict.fromkeys(problem for parameter in parameters for problem in _symmetry(parameter)))


def _symmetry(parameter: ParameterPlan) -> Iterable[Problem]:
    """Units with equal incoming weights get equal gradients, unless what they feed tells them apart.

    Goodfellow, Bengio and Courville 2016, section 8.4.
    """
    constant = parameter.std == 0 and parameter.role in ("weight", "recurrent")
    if constant and len(parameter.shape) > 1 and parameter.shape[0] > 1 and prod(parameter.shape) > 0:
        yield Problem(
            "MW101",
            parameter.rule.key,
            f"all {parameter.shape[0]} units of {parameter.path} start equal: unless what they feed tells them apart, "
            "they get equal gradients and stay equal",
            "draw weights from a distribution; constants suit biases and scales",
            severity="warning",
        )
