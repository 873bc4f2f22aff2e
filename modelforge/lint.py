"""lint: decided parameters → warnings. What is legal, but rarely meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from modelforge.errors import Problem, listed
from modelforge.inits import statistics
from modelforge.rules import ParameterPlan

LARGE = 10.0
"""From here on, an error of the variance that grew is worth a warning."""


def lint(parameters: Iterable[ParameterPlan]) -> list[Problem]:
    """All warnings about how parameters start; one a rule and layer, not one a parameter.

    Example:
        >>> from modelforge.plan import plan
        >>> from modelforge.spec import parse
        >>> layers = {"head": {"type": "Linear", "out_features": 2, "init": {"scheme": "constant", "value": 0.1}}}
        >>> [warning.code for warning in plan(parse({"input": {"shape": [4]}, "layers": layers})).warnings]
        ['MW101']
    """
    parameters = list(parameters)
    found = [problem for parameter in parameters for problem in _symmetry(parameter)]
    together = _unstable_variance, _parted_attention, _no_branch_ends, _unknown_inside, _overridden
    return list(dict.fromkeys([*found, *(problem for rule in together for problem in rule(parameters))]))


def _symmetry(parameter: ParameterPlan) -> Iterable[Problem]:
    """Units with equal incoming weights get equal gradients, unless what they feed tells them apart.

    Goodfellow, Bengio and Courville 2016, section 8.4.
    """
    context = parameter.fills[0][0].context
    if parameter.mean == 0 and parameter.role == "weight" and context is not None and context.gives_output:
        return  # a readout that starts at zero is a choice: what is wanted of its units tells them apart
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


def _unstable_variance(parameters: Sequence[ParameterPlan]) -> Iterable[Problem]:
    """Gains keep a variance of 1 that is no stable fixed point: an error of it grows by V' with each layer.

    Roberts, Yaida and Hanin 2021, arXiv:2106.10165, section 5. Norms and residual sums keep the variance by themselves.
    """
    if any(parameter.role == "scale" for parameter in parameters):
        return
    chains: dict[str, list[ParameterPlan]] = {}
    for parameter in parameters:
        block = parameter.fills[0][0]
        inside = block.context is not None and block.context.branch is not None
        if parameter.role == "weight" and parameter.numbers.get("activation") and block.activations and not inside:
            chains.setdefault(block.activations[0].name, []).append(parameter)
    for name, chain in chains.items():
        activations = chain[0].fills[0][0].activations
        assert activations is not None
        slope = statistics(activations[0]).variance_slope
        if slope > 1 and slope ** len(chain) > LARGE:
            yield Problem(
                "MW102",
                chain[0].rule.key,
                f"unit variance is unstable under {name}: each layer multiplies a small error of it by {slope:.3f}, "
                f"{len(chain)} layers by {slope ** len(chain):,.0f}",
                "add norms or residual branches, or take an activation with a slope below 1, such as Tanh",
                severity="warning",
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
                f"`{joint[0].scheme}` draws the projections of `{path}` together, but {listed} start otherwise: what "
                "they make together is not what it says",
                "cover all of them by one block; of two `types`, that of a projection's own class goes before",
                severity="warning",
            )


def _no_branch_ends(parameters: Sequence[ParameterPlan]) -> Iterable[Problem]:
    """A rule for the ends of residual branches that fills none."""
    rules: dict[tuple[str, str], list[ParameterPlan]] = {}
    for parameter in parameters:
        if getattr(parameter.initializer, "ends", None) == "auto" and not parameter.rule.default:
            rules.setdefault((parameter.rule.key, parameter.scheme), []).append(parameter)
    for (key, scheme), filled in rules.items():
        contexts = [block.context for parameter in filled for block, _ in parameter.fills]
        if all(context is None or context.known for context in contexts) and not any(
            context is not None and context.branch is not None and context.branch.ends for context in contexts
        ):
            shown = listed([parameter.path for parameter in filled], 1, quote="`")
            yield Problem(
                "MW108",
                key,
                f"`{scheme}` treats the ends of residual branches apart, but it fills none: only {shown}",
                "a branch ends with the last layer in it that has parameters, a norm too: put the rule there, say "
                "`ends: true`, or choose a scheme that does not count",
                severity="warning",
            )


def _unknown_inside(parameters: Sequence[ParameterPlan]) -> Iterable[Problem]:
    """A scheme that counts branches, and a layer of which nothing is known that is inside."""
    for parameter in parameters:
        context = parameter.fills[0][0].context
        counts = getattr(parameter.initializer, "branches", None) == "auto"
        if counts and context is not None and not context.known and not parameter.rule.default:
            yield Problem(
                "MW107",
                parameter.key,
                f"`{parameter.scheme}` cannot see into this layer: which of its parameters end a residual branch, and "
                "which branches it has inside, is not known, so none does and none counts",
                "register its class with `register_inside` and `register_branches` of `modelforge.layers`, or name the "
                "parameters in `params`, with `branches` and `ends`",
                part="key",
                severity="warning",
            )


def _overridden(parameters: Sequence[ParameterPlan]) -> Iterable[Problem]:
    """Rules that others go before wherever they match; the `init` group is a default, and a file has the last word."""
    before: dict[str, tuple[str, str]] = {}
    acting: set[str] = set()
    for parameter in parameters:
        from_file = parameter.initializer.values_from == "file"
        for link in parameter.chain:
            if from_file or link.verdict != "overridden":
                acting.add(link.key)
            elif not link.default and link.key.partition(".")[0] != "init":
                before.setdefault(link.key, (parameter.path, parameter.rule.key))
    for key, (path, other) in before.items():
        if key not in acting:
            message = f"this init rule changes nothing: other rules go before it, `{other}` at `{path}`"
            yield Problem("MW109", key, message, "remove it, or the others", part="key", severity="warning")
