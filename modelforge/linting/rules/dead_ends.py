"""What cannot learn from the start: zeros in series, units that are always off, biases without effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import NormalDist

import torch

from modelforge.core.matrix import Activation
from modelforge.core.tensors import TensorValue
from modelforge.language import registry
from modelforge.linting.rule import Found, register_rule
from modelforge.linting.subject import Subject, key_of
from modelforge.linting.ways import signal_of
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.layer_plan import LayerPlan
from modelforge.signal.flow import LeafLayer
from modelforge.signal.rule import RULES
from modelforge.signal.value import Preactivation

LIVELY = 0.02
"""The least share of examples for which a unit should be on."""


@register_rule(
    "MW125",
    why="Of two factors of zero in series, each makes the gradient of the other zero: neither ever changes. One zero "
    "is fine, and often meant (LoRA, Fixup, ReZero, muP readouts).",
    when="Kernels of zero that read a signal which is predicted to be exactly zero, and whose maker gets no "
    "gradient from elsewhere.",
    bad="""\
model:
  input: {shape: [16]}
  layers:
    down: {type: Linear, out_features: 4, bias: false, init: zeros}
    up: {type: Linear, out_features: 16, bias: false, init: zeros}
    head: {type: Linear, out_features: 2}
init: xavier
""",
    good="""\
model:
  input: {shape: [16]}
  layers:
    down: {type: Linear, out_features: 4, bias: false}
    up: {type: Linear, out_features: 16, bias: false, init: zeros}
    head: {type: Linear, out_features: 2}
init: xavier
""",
)
def zeros_in_series(subject: Subject) -> Iterator[Found]:
    if not any(_is_zero_kernel(parameter) for parameter in subject.parameters):
        return
    for leaf in subject.flow.leaves:
        zero = [it for it in subject.of_layer(leaf.layer).values() if _is_zero_kernel(it)]
        signal = signal_of(subject, leaf.reads[0]) if zero and leaf.reads else None
        maker = subject.prediction.by_path.get(leaf.reads[0].maker) if leaf.reads else None
        # What another layer sends back to the maker lets it leave zero.
        sent = None if maker is None else maker.gradient
        if signal is not None and signal.second == 0 and (sent is None or sent.energy == 0):
            for parameter in zero:
                yield Found(
                    key_of(parameter),
                    parameter.path,
                    "zeros in {} read zeros: neither they nor what makes them get a gradient",
                    "let one of the two start at values other than zero",
                )


@register_rule(
    "MW126",
    why="A unit that no example turns on has no gradient: it never learns, and what it reads learns nothing from it.",
    when="P(z > 0) below 2 % for the predicted mean and variance of what a ReLU reads; 0 where both are zero, since "
    "torch's ReLU has slope 0 at 0.",
    bad="""\
model:
  input: {shape: [64]}
  layers:
    hidden: {type: Linear, out_features: 64, init: {bias: {scheme: constant, value: -4.0}}}
    act: ReLU
    head: {type: Linear, out_features: 10}
init: kaiming
""",
    good="""\
model:
  input: {shape: [64]}
  layers:
    hidden: {type: Linear, out_features: 64, init: {bias: {scheme: constant, value: -0.5}}}
    act: ReLU
    head: {type: Linear, out_features: 10}
init: kaiming
""",
)
def dead_units(subject: Subject) -> Iterator[Found]:
    for leaf in subject.flow.leaves:
        node = subject.prediction.by_path.get(leaf.layer.path)
        preactivation = None if node is None or node.signal is None else node.signal.preactivation
        if preactivation is None or not leaf.reads or registry.get(leaf.layer.type).kind != "activation":
            continue
        share = _share_on(preactivation)
        if share < LIVELY and _is_flat_below_zero(preactivation.activation):
            blamed = _blamed(subject, subject.leaves.get(leaf.reads[0].maker))
            yield Found(
                leaf.layer.key if blamed is None else key_of(blamed),
                leaf.layer.path,
                f"{leaf.layer.type} at {{}} is on for {100 * share:.2g} % of examples: its units start dead",
                "let the bias before it start at 0 or above, and the weights at values other than zero",
            )


@register_rule(
    "MW127",
    why="A norm over the batch subtracts the mean of each channel, and with it any bias before: the bias has no "
    "effect, no gradient, and takes memory. The norm has a bias of its own.",
    when="A layer with a bias for each channel that only batch or instance norms read (Ioffe and Szegedy 2015, "
    "arXiv:1502.03167, section 3.2).",
    bad="""\
model:
  input: {shape: [3, 8, 8]}
  layers:
    conv: {type: Conv2d, out_channels: 8, kernel_size: 3}
    norm: BatchNorm2d
    act: ReLU
init: kaiming
""",
    good="""\
model:
  input: {shape: [3, 8, 8]}
  layers:
    conv: {type: Conv2d, out_channels: 8, kernel_size: 3, bias: false}
    norm: BatchNorm2d
    act: ReLU
init: kaiming
""",
)
def bias_before_norm(subject: Subject) -> Iterator[Found]:
    for leaf in subject.flow.leaves:
        readers = subject.readers.get(leaf.layer.path, ())
        if not readers or not all(_centres_channels(reader.layer) for reader in readers):
            continue
        for name, parameter in subject.of_layer(leaf.layer).items():
            if name == "bias" and parameter.role == "bias" and _along_channels(subject, leaf.layer):
                yield Found(
                    leaf.layer.key,
                    parameter.path,
                    f"no effect of {{}}: the {readers[0].layer.type} after it subtracts the mean of each channel",
                    "write `bias: false`",
                    "key",
                )


def _centres_channels(layer: LayerPlan) -> bool:
    return layer.type in RULES and RULES.get(layer.type).centres_channels


def _along_channels(subject: Subject, layer: LayerPlan) -> bool:
    """Whether a layer's bias has one value for each channel, dimension 1: that of a Linear over a sequence has not."""
    kernel = subject.of_layer(layer).get("weight")
    output = layer.output
    return kernel is not None and isinstance(output, TensorValue) and len(kernel.shape) == len(output.of(1))


def _is_zero_kernel(parameter: ParameterPlan) -> bool:
    return parameter.std == 0 and parameter.mean == 0 and len(parameter.shape) > 1 and parameter.role != "bias"


def _share_on(preactivation: Preactivation) -> float:
    """The share of what an activation reads that is above zero."""
    if preactivation.variance == 0:
        return float(preactivation.mean > 0)
    return 1 - NormalDist(preactivation.mean, preactivation.variance**0.5).cdf(0.0)


def _is_flat_below_zero(activation: Activation) -> bool:
    """Whether an activation gives one value for all that is negative."""
    with torch.no_grad():
        values = activation.function(torch.tensor([-4.0, -2.0, -1.0, -0.1], dtype=torch.float64))
    return bool((values == values[0]).all())


def _blamed(subject: Subject, maker: LeafLayer | None) -> ParameterPlan | None:
    """The bias of what makes a signal, or else its kernel."""
    if maker is None:
        return None
    found: Sequence[ParameterPlan] = list(subject.of_layer(maker.layer).values())
    biases = [it for it in found if it.role == "bias" and it.mean]
    return next(iter([*biases, *found]), None)
