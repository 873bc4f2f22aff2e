"""Schemes that do not do what their name or their numbers promise."""

from __future__ import annotations

from collections.abc import Iterator

from modelforge.inits.laws.truncated_normal import TruncatedNormal
from modelforge.inits.schemes.width import LEARNING_RATE
from modelforge.linting.rule import Found, register_rule
from modelforge.linting.subject import Subject, key_of
from modelforge.planning.assign import ParameterPlan

FAR = 5.0
"""Standard deviations at which a cut removes fewer than one value in a million."""


@register_rule(
    "MW103",
    severity="warning",
    why="A scheme that draws all projections of an attention promises something of their products. Where another rule "
    "fills one of them, the promise is broken.",
    when="`mimetic` makes W_q·W_kᵀ and W_v·W_o nearly the identity (Trockman and Kolter 2023, arXiv:2305.09828).",
    bad="""\
model:
  input: {shape: [3, 8]}
  layers:
    mix: {type: MultiheadAttention, num_heads: 2}
    head: {type: Linear, out_features: 2}
init: {scheme: xavier, types: {MultiheadAttention: mimetic, Linear: kaiming}}
""",
    good="""\
model:
  input: {shape: [3, 8]}
  layers:
    mix: {type: MultiheadAttention, num_heads: 2}
    head: {type: Linear, out_features: 2}
init: {scheme: xavier, types: {MultiheadAttention: mimetic}}
""",
)
def parted_attention(subject: Subject) -> Iterator[Found]:
    attentions: dict[str, list[ParameterPlan]] = {}
    for parameter in subject.parameters:
        if (attention := parameter.fills[0][0].attention) is not None:
            attentions.setdefault(attention.path, []).append(parameter)
    for path, projections in attentions.items():
        joint = [item for item in projections if item.initializer.draws_per == "attention"]
        apart = [item for item in projections if joint and item.initializer != joint[0].initializer]
        for item in apart:
            yield Found(
                key_of(item),
                item.path,
                f"`{joint[0].scheme}` draws the projections of `{path}` together, but another rule fills {{}}: "
                "the product of the projections is not what the scheme promises",
                "let one init block cover all of them; of two entries of `types`, the one for a projection's own class "
                "wins",
            )


@register_rule(
    "MW132",
    why="A truncated normal law whose bounds lie far out is a plain normal law. Libraries that count bounds in "
    "absolute units (±2) with a std of 0.02 cut at 100 standard deviations.",
    when="Both bounds at least 5 standard deviations from the mean: P(|z| > 5) = 5.7e-7.",
    bad="""\
model:
  input: {shape: [64]}
  layers: {head: {type: Linear, out_features: 10}}
init: {scheme: torch.trunc_normal, std: 0.02, a: -2.0, b: 2.0}
""",
    good="""\
model:
  input: {shape: [64]}
  layers: {head: {type: Linear, out_features: 10}}
init: {scheme: torch.trunc_normal, std: 0.02, a: -0.04, b: 0.04}
""",
)
def idle_truncation(subject: Subject) -> Iterator[Found]:
    for parameter in subject.parameters:
        law = parameter.fills[0][1].promise.law
        if not isinstance(law, TruncatedNormal) or law.std == 0:
            continue
        reach = min(law.mean - law.low, law.high - law.mean) / law.std
        if reach >= FAR:
            yield Found(
                key_of(parameter),
                parameter.path,
                f"the bounds of the normal law of {{}} lie {reach:,.0f} standard deviations out: nothing is cut",
                "choose `normal`, or bounds in proportion to the std (`truncate: 2` counts in standard deviations)",
            )


@register_rule(
    "MW133",
    why="A unit without incoming weights computes a constant, and passes no gradient back.",
    when="`axis: fan_in`: a unit's m weights with round(sparsity·m) = m, of which the scheme still keeps one. "
    "`axis: fan_out`: each of n inputs keeps k of m outputs, so that m·(1 - k/m)^n units are empty on average; found "
    "from 0.5 on.",
    bad="""\
model:
  input: {shape: [64]}
  layers:
    hidden: {type: Linear, out_features: 64}
    act: ReLU
    head: {type: Linear, out_features: 10}
init: {scheme: sparse, sparsity: 0.95, std: 0.1, axis: fan_out}
""",
    good="""\
model:
  input: {shape: [64]}
  layers:
    hidden: {type: Linear, out_features: 64}
    act: ReLU
    head: {type: Linear, out_features: 10}
init: {scheme: sparse, sparsity: 0.8, std: 0.1, axis: fan_out}
""",
)
def empty_units(subject: Subject) -> Iterator[Found]:
    for parameter in subject.parameters:
        numbers = parameter.numbers
        if "num_kept_per_unit" not in numbers or not numbers["num_weights_per_unit"]:
            continue
        num_weights, num_kept = numbers["num_weights_per_unit"], numbers["num_kept_per_unit"]
        hint = f"lower `sparsity`, which is {numbers['sparsity']:g}"
        if numbers["axis"] == "fan_in" and round(numbers["sparsity"] * num_weights) >= num_weights > 1:
            message = f"`sparsity` leaves a unit of {{}} none of its {num_weights} weights: one is kept all the same"
            yield Found(key_of(parameter), parameter.path, message, hint)
        if numbers["axis"] == "fan_out":
            matrix = parameter.fills[0][0]
            empty = matrix.fan_out * (1 - num_kept / num_weights) ** matrix.fan_in
            if empty >= 0.5:
                message = f"about {max(1, round(empty)):,} of {matrix.fan_out:,.0f} units of {{}} start without weights"
                yield Found(key_of(parameter), parameter.path, message, f"{hint}, or write `axis: fan_in`")


@register_rule(
    "MW135",
    why="A scheme that divides by the number of residual branches does nothing in a network of one branch.",
    when="One residual branch, and `branches: auto`: the factor is 1.",
    bad="""\
model:
  input: {shape: [16]}
  layers:
    block: {type: Residual, layers: {norm: LayerNorm, dense: {type: Linear, out_features: 16}}}
    head: {type: Linear, out_features: 4}
init: gpt2
""",
    good="""\
model:
  input: {shape: [16]}
  layers:
    a: {type: Residual, layers: {norm: LayerNorm, dense: {type: Linear, out_features: 16}}}
    b: {type: Residual, layers: {norm: LayerNorm, dense: {type: Linear, out_features: 16}}}
    head: {type: Linear, out_features: 4}
init: gpt2
""",
)
def depth_of_one(subject: Subject) -> Iterator[Found]:
    for parameter in subject.parameters:
        context = parameter.fills[0][0].context
        counts = getattr(parameter.initializer, "branches", None) == "auto" and not parameter.rule.default
        if counts and context is not None and context.num_branches == 1 and context.branch and context.branch.ends:
            yield Found(
                key_of(parameter),
                parameter.path,
                f"`{parameter.scheme}` divides {{}} by a depth of 1: the model has one residual branch",
                "choose a scheme that does not count branches, or give `branches` the number that is meant",
            )


@register_rule(
    "MW136",
    why="A width-aware scheme is half of a parametrisation: initial values and learning rates belong together. With "
    "one learning rate for all parameters, what was tuned at the base width does not hold at this one.",
    when="The scheme states learning rates other than 1, but `optimizer.mup` is false (Yang et al. 2022, "
    "arXiv:2203.03466, table 3). Found only where the optimizer is known.",
    bad="""\
model:
  input: {shape: [16]}
  layers:
    up: {type: Linear, out_features: 256}
    act: ReLU
    mid: {type: Linear, out_features: 256}
    act2: ReLU
    head: {type: Linear, out_features: 10}
init: {scheme: mup, width: 256, base_width: 64}
optimizer: {type: Adam, lr: 1e-3}
""",
    good="""\
model:
  input: {shape: [16]}
  layers:
    up: {type: Linear, out_features: 256}
    act: ReLU
    mid: {type: Linear, out_features: 256}
    act2: ReLU
    head: {type: Linear, out_features: 10}
init: {scheme: mup, width: 256, base_width: 64}
optimizer: {type: Adam, lr: 1e-3, mup: true}
""",
)
def rates_not_followed(subject: Subject) -> Iterator[Found]:
    training = subject.training
    if training is None or training.by_width:
        return
    for parameter in subject.parameters:
        if parameter.numbers.get(LEARNING_RATE, 1.0) != 1.0:
            yield Found(
                key_of(parameter),
                parameter.path,
                f"`{parameter.scheme}` states learning rates for {{}} that {training.optimizer} does not follow",
                "write `optimizer.mup=true`",
            )
