"""lint: a plan → warnings about initial values that are legal, but rarely meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from modelforge.core.complaints import require
from modelforge.core.errors import Problem
from modelforge.inits import statistics
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan

LARGE = 10.0
"""The growth of an error of the variance from which on it is worth a warning."""


def lint(plan: Plan) -> tuple[Problem, ...]:
    """All warnings about initial values; one for a rule and a layer, not one for each parameter.

    Example:
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.language import parse
        >>> layers = {"head": {"type": "Linear", "out_features": 2, "init": {"scheme": "constant", "value": 0.1}}}
        >>> [warning.code for warning in lint(plan(parse({"input": {"shape": [4]}, "layers": layers})))]
        ['MW101']
    """
    require(plan, Plan, "lint takes a Plan, as `plan` gives")
    found = dict.fromkeys(problem for rule in RULES for problem in rule(plan.parameters))
    return tuple(map(plan.origins.locate, found))


def findings(plan: Plan) -> tuple[Problem, ...]:
    """The warnings of planning and of `lint`."""
    return (*plan.warnings, *lint(plan))


def _symmetry(parameters: Sequence[ParameterPlan]) -> Iterable[Problem]:
    """Units with equal incoming weights get equal gradients, unless their outgoing weights differ.

    Goodfellow, Bengio and Courville 2016, section 8.4.
    """
    for parameter in parameters:
        context = parameter.fills[0][0].context
        if parameter.mean == 0 and parameter.role == "weight" and context is not None and context.gives_output:
            continue  # a readout that starts at zero is a choice: the targets of its units differ
        constant = parameter.std == 0 and parameter.role in ("weight", "recurrent")
        if constant and len(parameter.shape) > 1 and parameter.shape[0] > 1 and prod(parameter.shape) > 0:
            yield Problem(
                "MW101",
                parameter.rule.key,
                f"all {parameter.shape[0]} units of {parameter.path} start equal: unless their outgoing weights "
                "differ, they get equal gradients and stay equal",
                "draw weights from a distribution; constants suit biases and scales",
            )


def _unstable_variance(parameters: Sequence[ParameterPlan]) -> Iterable[Problem]:
    """Gains keep a variance of 1 that is no stable fixed point: an error of it grows by V' with each layer.

    Roberts, Yaida and Hanin 2021, arXiv:2106.10165, section 5. Norms and residual sums keep the variance by themselves.
    """
    if any(parameter.role == "scale" for parameter in parameters):
        return
    chains: dict[str, list[ParameterPlan]] = {}
    for parameter in parameters:
        matrix = parameter.fills[0][0]
        inside = matrix.context is not None and matrix.context.branch is not None
        if parameter.role == "weight" and parameter.numbers.get("activation") and matrix.activations and not inside:
            chains.setdefault(matrix.activations[0].name, []).append(parameter)
    for name, chain in chains.items():
        activations = chain[0].fills[0][0].activations
        assert activations is not None
        slope = statistics(activations[0]).variance_slope
        if slope > 1 and slope ** len(chain) > LARGE:
            yield Problem(
                "MW102",
                chain[0].rule.key,
                f"unit variance is unstable under {name}: each layer multiplies an error in the variance by "
                f"{slope:.3f}, {len(chain)} layers by {slope ** len(chain):,.0f}",
                "add norms or residual branches, or take an activation with a slope below 1, such as Tanh",
            )


def _parted_attention(parameters: Sequence[ParameterPlan]) -> Iterable[Problem]:
    """A scheme that draws for all projections of an attention promises something of them together."""
    attentions: dict[str, list[ParameterPlan]] = {}
    for parameter in parameters:
        if (attention := parameter.fills[0][0].attention) is not None:
            attentions.setdefault(attention.path, []).append(parameter)
    for path, projections in attentions.items():
        joint = [item for item in projections if item.initializer.draws_per == "attention"]
        apart = [item for item in projections if joint and item.initializer != joint[0].initializer]
        if apart:
            listed = " and ".join(f"`{item.path}`" for item in apart)
            yield Problem(
                "MW103",
                apart[0].rule.key,
                f"`{joint[0].scheme}` draws the projections of `{path}` together, but another rule fills {listed}: "
                "the product of the projections is not what the scheme promises",
                "let one init block cover all of them; of two entries of `types`, the one for a projection's own class "
                "wins",
            )


RULES = (_symmetry, _unstable_variance, _parted_attention)
"""Parameters of a plan → warnings about how the network starts."""
