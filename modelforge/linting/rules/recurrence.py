"""Recurrent layers: what a step is multiplied by as often as there are steps."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, log

from modelforge.core.tensors import TensorValue
from modelforge.core.words import exponential
from modelforge.inits import Fill
from modelforge.inits.schemes.identity import Diagonal
from modelforge.linting.rule import Found, register_rule
from modelforge.linting.subject import Subject, key_of
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.layer_plan import LayerPlan

LARGE = 10.0
"""The factor over all steps from which on a finding is worth a note."""
LONG = 32
"""Steps from which on a state must be remembered."""


@register_rule(
    "MW129",
    why="Torch's recurrent layers have two biases that add up. A constant for both is twice the constant: a forget "
    "bias of 1 in each makes 2.",
    when="Both addends of a gate's bias are the same constant other than 0.",
    bad="""\
model:
  input: {shape: [20, 8]}
  layers: {rnn: {type: LSTM, hidden_size: 16}}
init: {scheme: orthogonal, bias: ones}
""",
    good="""\
model:
  input: {shape: [20, 8]}
  layers: {rnn: {type: LSTM, hidden_size: 16, init: {bias: {scheme: gates, forget: 1.0}}}}
init: orthogonal
""",
)
def double_bias(subject: Subject) -> Iterator[Found]:
    for first, second in _pairs(subject):
        both = [
            (one.mean, name)
            for (name, one), (_, other) in zip(_gates(first), _gates(second), strict=True)
            if one.std == other.std == 0 and one.mean == other.mean and one.mean
        ]
        if both:
            mean = both[0][0]
            yield Found(
                key_of(first),
                first.path,
                f"the second bias is added to {{}}: {mean:g} in each makes {2 * mean:g}",
                "the scheme `gates` sets the sum: `bias: {scheme: gates, forget: 1.0}`",
            )


@register_rule(
    "MW130",
    why="With a forget bias of 0, an LSTM halves its state with each step: what came long ago is lost, and so is its "
    "gradient, until training has opened the gate.",
    when="A gate with bias b remembers for 1 + e^b steps: 2 at b = 0, 3.7 at 1, 8.4 at 2 (Jozefowicz et al. 2015; "
    "Tallec and Ollivier 2018, arXiv:1804.11188). Found where the sum of the two forget biases is below 0.5 and a "
    "sequence has at least 32 steps.",
    bad="""\
model:
  input: {shape: [100, 8]}
  layers: {rnn: {type: LSTM, hidden_size: 16}}
init: orthogonal
""",
    good="""\
model:
  input: {shape: [100, 8]}
  layers: {rnn: {type: LSTM, hidden_size: 16, init: {bias: {scheme: gates, forget: 1.0}}}}
init: orthogonal
""",
)
def forgetful(subject: Subject) -> Iterator[Found]:
    for first, second in _pairs(subject):
        leaf = subject.leaves.get(first.path.rpartition(".")[0])
        steps = _steps(leaf.layer) if leaf is not None else 0
        ones, others = dict(_gates(first)), dict(_gates(second))
        forget, other = ones.get("f"), others.get("f")
        if steps < LONG or forget is None or other is None or forget.mean is None or other.mean is None:
            continue
        bias = forget.mean + other.mean
        if bias < 0.5:
            yield Found(
                key_of(first),
                first.path,
                f"the forget gate of {{}} starts at {bias:g}: it remembers for {1 + exp(bias):.1f} of {steps} steps",
                f"`bias: {{scheme: gates, forget: 1.0}}`, or `{{scheme: chrono, max_time: {steps}}}`",
            )


@register_rule(
    "MW131",
    why="The same matrix multiplies at every step: singular values above 1 make the state, or its gradient, grow "
    "exponentially with the length of the sequence.",
    when="An orthogonal matrix, such as the identity, times a gain g multiplies by g^steps (Saxe et al. 2014, "
    "arXiv:1312.6120; Le et al. 2015, arXiv:1504.00941); found where that is above 10. Squashing activations and gates "
    "lessen it.",
    bad="""\
model:
  input: {shape: [100, 8]}
  layers: {rnn: {type: RNN, hidden_size: 16, nonlinearity: relu}}
init: {scheme: xavier, recurrent: {scheme: orthogonal, gain: 1.1}}
""",
    good="""\
model:
  input: {shape: [100, 8]}
  layers: {rnn: {type: RNN, hidden_size: 16, nonlinearity: relu}}
init: {scheme: xavier, recurrent: {scheme: orthogonal, gain: 1.0}}
""",
)
def growing_recurrence(subject: Subject) -> Iterator[Found]:
    for leaf in subject.flow.leaves:
        steps = _steps(leaf.layer)
        for parameter in subject.of_layer(leaf.layer).values():
            factor = _factor(parameter)
            if parameter.role == "recurrent" and factor > 1 and steps * log(factor) > log(LARGE):
                yield Found(
                    key_of(parameter),
                    parameter.path,
                    f"{factor:g} times an orthogonal matrix in {{}}: {steps} steps multiply by "
                    f"{exponential(steps * log(factor))}",
                    "give recurrent weights a gain of 1: `recurrent: {scheme: orthogonal, gain: 1.0}`",
                )


def _factor(parameter: ParameterPlan) -> float:
    """What all singular values are, if they are equal; 0 where they are not."""
    matrix, fill = parameter.fills[0]
    if isinstance(fill.drawn_by, Diagonal):
        return abs(fill.drawn_by.kernel[0]) if matrix.shape[0] == matrix.shape[1] else 0.0
    isometry = fill.promise.isometry
    return 0.0 if isometry is None or isometry.rows != isometry.columns else abs(isometry.factor)


def _pairs(subject: Subject) -> Iterator[tuple[ParameterPlan, ParameterPlan]]:
    """Biases that are added, first and second."""
    for leaf in subject.flow.leaves:
        named = subject.of_layer(leaf.layer)
        for name, parameter in named.items():
            second = named.get(name.replace("bias_ih", "bias_hh"))
            if second is not None and second is not parameter and second.fills[0][0].addend:
                yield parameter, second


def _gates(parameter: ParameterPlan) -> list[tuple[str, Fill]]:
    return [(matrix.name, fill) for matrix, fill in parameter.fills]


def _steps(layer: LayerPlan) -> int:
    """Steps of the sequence that a recurrent layer reads; sequences are batch-first."""
    first = layer.inputs[0] if layer.inputs else None
    return first.of(1)[1] if isinstance(first, TensorValue) and len(first.shape) == 3 else 0
