"""Gains that do not belong to the activation after them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import exp, inf, log

from modelforge.core.words import exponential
from modelforge.inits import Statistics
from modelforge.linting.rule import Found, register_rule
from modelforge.linting.subject import Subject, followed_by, key_of
from modelforge.planning.assign import ParameterPlan

LARGE = 100.0
"""The factor on energies over all layers from which on a finding is worth a note."""
RECTIFIES = 0.85
"""V′(1) from which on an activation lets energies through as a ReLU does, in proportion; below, it corrects them."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A kernel with a gain, and the one activation after it, outside of residual branches."""

    parameter: ParameterPlan
    gain: float
    name: str
    """Of the activation."""
    activation: Statistics

    @property
    def key(self) -> tuple[str, str, str]:
        """What layers have in common that one finding is about."""
        return self.parameter.rule.key, self.parameter.scheme, self.name


@register_rule(
    "MW120",
    why="An activation like ReLU lets only part of the signal's energy through, and the weights before it do not make "
    "up for it: the signal fades with depth, and gradients with it. Xavier and LeCun are for activations that are "
    "linear near zero.",
    when="(gain/g)^(2·layers) below 1/100 or above 100, with g = 1/√E φ(z)²: √2 for ReLU, 1.53 for GELU, 1.68 for "
    "SiLU (He et al. 2015, arXiv:1502.01852), over the layers after the last norm; not inside residual branches.",
    bad="""\
model:
  input: {shape: [64]}
  layers:
    stack: {type: Repeat, times: 8, layers: {dense: {type: Linear, out_features: 64}, act: ReLU}}
    head: {type: Linear, out_features: 10}
init: xavier
""",
    good="""\
model:
  input: {shape: [64]}
  layers:
    stack: {type: Repeat, times: 8, layers: {dense: {type: Linear, out_features: 64}, act: ReLU}}
    head: {type: Linear, out_features: 10}
init: {scheme: xavier, gain: auto}
""",
)
def missing_gain(subject: Subject) -> Iterator[Found]:
    for layers in _groups(layer for layer in _layers(subject) if layer.activation.variance_slope >= RECTIFIES):
        first = layers[0]
        needed = first.activation.forward_gain
        each = (first.gain / needed) ** 2
        whole = sum(2 * _log(abs(layer.gain) / layer.activation.forward_gain) for layer in layers)
        if abs(whole) > log(LARGE):
            for layer in layers:
                yield Found(
                    key_of(first.parameter),
                    layer.parameter.path,
                    f"`{first.parameter.scheme}` gives {{}} the gain {first.gain:.3g}, but the {first.name} after it "
                    f"needs {needed:.3g}: each layer multiplies the energy of the signal by {each:.3g}, {len(layers)} "
                    f"layers by {exponential(whole)}",
                    "write `gain: auto`, or choose `kaiming` before ReLU",
                )


@register_rule(
    "MW121",
    why="The gain of ReLU before an activation that saturates multiplies gradients with each layer: before Tanh they "
    "grow, before Sigmoid they vanish whatever the gain.",
    when="χ₁^layers below 1/100 or above 100, with χ₁ = σ_w²·E φ′(√q z)² at the variance q that arrives (Poole et "
    "al. 2016, arXiv:1606.05340), over the layers after the last norm; not inside residual branches.",
    bad="""\
model:
  input: {shape: [64]}
  layers:
    stack: {type: Repeat, times: 80, layers: {dense: {type: Linear, out_features: 64}, act: Tanh}}
    head: {type: Linear, out_features: 10}
init: kaiming
""",
    good="""\
model:
  input: {shape: [64]}
  layers:
    stack: {type: Repeat, times: 80, layers: {dense: {type: Linear, out_features: 64}, act: Tanh}}
    head: {type: Linear, out_features: 10}
init: {scheme: kaiming, gain: 1.0}
""",
)
def rectifier_before_saturation(subject: Subject) -> Iterator[Found]:
    for layers in _groups(layer for layer in _layers(subject) if layer.activation.variance_slope < RECTIFIES):
        first = layers[0]
        taken = first.parameter.numbers.get("activation")
        if not taken or taken == first.name or not _is_named(first.parameter):
            continue
        factors = [log(chi) for layer in layers if (chi := _chi_after(subject, layer))]
        whole = sum(factors)
        if abs(whole) > log(LARGE):
            each = exp(whole / len(factors))
            for layer in layers:
                yield Found(
                    key_of(first.parameter),
                    layer.parameter.path,
                    f"the gain of {{}} is that of {taken}, but {first.name} follows: each layer multiplies the energy "
                    f"of gradients by {each:.3g}, {len(factors)} layers by {exponential(whole)}",
                    "write `gain: auto_backward`, which keeps gradients, or add norms",
                )


@register_rule(
    "MW122",
    why="The gain is named after another activation than the one that follows: one of the two was changed alone.",
    when="`gain` names an activation, its value is more than 5 % off that of the one that follows, and it is not "
    "the scheme's default.",
    bad="""\
model:
  input: {shape: [64]}
  layers:
    hidden: {type: Linear, out_features: 64}
    act: ReLU
    head: {type: Linear, out_features: 10}
init: {scheme: xavier, gain: tanh}
""",
    good="""\
model:
  input: {shape: [64]}
  layers:
    hidden: {type: Linear, out_features: 64}
    act: Tanh
    head: {type: Linear, out_features: 10}
init: {scheme: xavier, gain: tanh}
""",
)
def gain_of_another(subject: Subject) -> Iterator[Found]:
    for parameter in subject.parameters:
        followed, gain = followed_by(parameter), parameter.numbers.get("gain")
        if followed is None or not isinstance(gain, float) or not _is_named(parameter) or _is_default(parameter):
            continue
        activations = parameter.fills[0][0].activations
        backward = followed.backward_gain
        if activations and all(abs(gain / right - 1) > 0.05 for right in (followed.forward_gain, backward)):
            yield Found(
                key_of(parameter),
                parameter.path,
                f"the gain {gain:.3g} of {{}} is that of {getattr(parameter.initializer, 'gain', '')}, but "
                f"{activations[0].name} follows, whose gain is {followed.forward_gain:.3g}",
                "write `gain: auto`",
            )


def _log(factor: float) -> float:
    return log(factor) if factor else -inf


def _is_named(parameter: ParameterPlan) -> bool:
    """Whether the gain is that of an activation by name."""
    gain = getattr(parameter.initializer, "gain", None)
    return isinstance(gain, str) and not gain.startswith(("auto", "critical"))


def _is_default(parameter: ParameterPlan) -> bool:
    field = type(parameter.initializer).model_fields["gain"]
    return field.default == getattr(parameter.initializer, "gain", None)


def _layers(subject: Subject) -> Iterator[Layer]:
    """The layers after the last norm, which keeps energies."""
    for parameter in subject.parameters_since_norm:
        matrix, gain = parameter.fills[0][0], parameter.numbers.get("gain")
        inside = matrix.context is not None and matrix.context.branch is not None
        if parameter.role != "weight" or inside or not isinstance(gain, float):
            continue
        followed = followed_by(parameter)
        if followed is not None and matrix.activations:
            yield Layer(parameter, gain, matrix.activations[0].name, followed)


def _groups(layers: Iterable[Layer]) -> list[list[Layer]]:
    found: dict[tuple[str, str, str], list[Layer]] = {}
    for layer in layers:
        found.setdefault(layer.key, []).append(layer)
    return list(found.values())


def _chi_after(subject: Subject, layer: Layer) -> float | None:
    """χ₁ of the activation after a layer, as predicted."""
    for leaf in subject.readers.get(layer.parameter.path.rpartition(".")[0], ()):
        node = subject.prediction.by_path.get(leaf.layer.path)
        if node is not None and node.chi is not None:
            return node.chi
    return None
