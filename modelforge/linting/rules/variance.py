"""Variances and products that depth does not keep."""

from __future__ import annotations

from collections.abc import Iterator
from math import log

from modelforge.core.words import exponential
from modelforge.linting.rule import Found, register_rule
from modelforge.linting.subject import Subject, followed_by
from modelforge.planning.assign import ParameterPlan

LARGE = 10.0
"""The growth of an error of the variance from which on it is worth a warning."""


@register_rule(
    "MW102",
    severity="warning",
    why="Gains keep a variance of 1 that is not a stable fixed point: each layer multiplies an error in the variance, "
    "and in a deep network without norms the signal explodes or vanishes, whatever the gain. Norms and residual sums "
    "keep the variance by themselves.",
    when="V′(1)^layers above 10 after the last norm, with V′(1) = 1.144 for GELU, 1.173 for SiLU and 1.076 for "
    "Mish (Roberts, Yaida and Hanin 2021, arXiv:2106.10165, section 5).",
    bad="""\
model:
  input: {shape: [16]}
  layers:
    stack: {type: Repeat, times: 30, layers: {dense: {type: Linear, out_features: 16}, act: GELU}}
    head: {type: Linear, out_features: 2}
init: {scheme: kaiming, gain: auto}
""",
    good="""\
model:
  input: {shape: [16]}
  layers:
    stack: {type: Repeat, times: 30, layers: {dense: {type: Linear, out_features: 16}, norm: LayerNorm, act: GELU}}
    head: {type: Linear, out_features: 2}
init: {scheme: kaiming, gain: auto}
""",
)
def unstable_variance(subject: Subject) -> Iterator[Found]:
    chains: dict[str, list[ParameterPlan]] = {}
    for parameter in subject.parameters_since_norm:
        matrix = parameter.fills[0][0]
        inside = matrix.context is not None and matrix.context.branch is not None
        if parameter.role == "weight" and parameter.numbers.get("activation") and matrix.activations and not inside:
            chains.setdefault(matrix.activations[0].name, []).append(parameter)
    for name, chain in chains.items():
        followed = followed_by(chain[0])
        slope = followed.variance_slope if followed is not None else 0.0
        if slope > 1 and len(chain) * log(slope) > log(LARGE):
            yield Found(
                chain[0].rule.key,
                chain[0].path,
                f"unit variance is unstable under {name}: each layer multiplies an error in the variance by "
                f"{slope:.3f}, {len(chain)} layers by {exponential(len(chain) * log(slope))}",
                "add norms or residual branches, or take an activation with a slope below 1, such as Tanh",
            )
