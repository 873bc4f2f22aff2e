"""The registry of signal rules: from a layer type to what it does to a signal, and to the gradient on its way back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from modelforge.core.quoting import sentence
from modelforge.core.registry import Registry
from modelforge.core.tensors import TensorValue, at
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.layer_plan import LayerPlan
from modelforge.signal.own_values import Law
from modelforge.signal.shape import Shape
from modelforge.signal.value import Gradient, Signal

Index = tuple[int, ...]
"""Where in what a layer gives a tensor is; `()` is all of it."""


class Unpredictable(Exception):
    """A rule cannot predict what a layer does; the message says why."""


@dataclass(frozen=True, slots=True)
class Values:
    """What is planned of a parameter's values, or of one matrix of it."""

    mean: float
    std: float
    fan_in: float
    fan_out: float
    patterned: bool = False
    """Whether they differ, and none is drawn: an identity, or a Hadamard matrix."""

    @property
    def second(self) -> float:
        """E w²."""
        return self.mean**2 + self.std**2


NONE = Values(0.0, 0.0, 0.0, 0.0)
"""A parameter that is not there."""


@dataclass(frozen=True, slots=True)
class Node:
    """A layer in its place: what it is, what its parameters start as, and what it reads."""

    layer: LayerPlan
    parameters: Mapping[str, ParameterPlan]
    """By name below the layer's path, tied ones included."""
    signals: tuple[Signal | None, ...]
    """None where a signal is not known, which only rules that restart see, and for whole numbers."""
    num_examples: int
    training: bool
    drawn_by: str = ""
    """The layer type that fills its parameters where no scheme does; its own if empty."""
    spreads: bool = True
    """Whether the spreads of examples that are far apart, and of draws, are wanted, too."""
    sources: tuple[Hashable, ...] = ()
    """Names of the tensors that it reads, by which two are one; all are different if empty."""
    mixed: bool = False
    """Whether drawn weights made what it reads first, which then is about normal."""
    dependent: bool = False
    """Whether two of them that are different are made of one tensor without drawn weights between."""

    @property
    def signal(self) -> Signal:
        """What it reads first.

        Raises:
            Unpredictable: that is no real numbers.
        """
        if self.signals[0] is None:
            raise Unpredictable("it reads what is not known")
        return self.signals[0]

    def sizes(self, index: Index = ()) -> tuple[int, ...]:
        """The shape of an output, batch included."""
        value = at(self.layer.output, index)
        assert isinstance(value, TensorValue), "an index leads to a tensor"
        return value.of(self.num_examples)

    def shape(self, units: int, index: Index = ()) -> Shape:
        """The shape of an output whose units are in a dimension."""
        value = at(self.layer.output, index)
        assert isinstance(value, TensorValue), "an index leads to a tensor"
        return Shape(self.sizes(index), value.batch_axis, units % max(1, len(value.shape)))

    def values(self, name: str, matrix: str | None = None) -> Values:
        """What is planned of a parameter; of one that is not there, `NONE`.

        Raises:
            Unpredictable: its scheme promises no mean and std, as values from a file do not.
        """
        if name not in self.parameters:
            return NONE
        planned = self.parameters[name]
        first = next(it for it, _ in planned.fills if matrix in (None, it.name))
        fill = next(fill for it, fill in planned.fills if it is first)
        mean, std = (planned.mean, planned.std) if matrix is None else (fill.mean, fill.std)
        if (mean is None or std is None) and planned.initializer.values_from == "module":
            kind = self.drawn_by or self.layer.type
            law = RULES.get(kind).own_values if kind in RULES else None
            mean, std = (law and law(self.parameters, name)) or (None, None)
        if mean is None or std is None:
            raise Unpredictable(f"`{planned.scheme}` promises no mean and std of {planned.path}")
        return Values(mean, std, first.fan_in, first.fan_out, patterned=fill.promise.deterministic and std > 0)


Back = Callable[[Mapping[Index, Gradient]], tuple[Gradient | None, ...]]
"""From the gradients of what a layer gives to those of what it reads; None where there is none."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What a layer makes of what it reads."""

    outputs: Mapping[Index, Signal]
    back: Back
    chi: float | None = None
    """χ₁: by how much the layer and the weights before it multiply the energy of gradients, fan-in counted."""
    slope: float | None = None
    """V′(q): by how much they multiply a small error of the variance."""
    note: str = ""
    """What was assumed on the way."""

    def sent(self, gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...] | None:
        """The gradients of what the layer reads; None where its rule fails."""
        try:
            return self.back(gradients)
        except Unpredictable:
            return None


def passed(output: Signal, back: Callable[[Gradient], Gradient | None], note: str = "") -> Passed:
    """What a layer with one input and one output does."""
    return Passed({(): output}, lambda gradients: (back(gradients[()]),), note=note)


Predict = Callable[[Node], Passed]
AnyPredict = TypeVar("AnyPredict", bound=Predict)


@dataclass(frozen=True, slots=True)
class SignalRule:
    """A rule, and what its layer does with the energy of a signal."""

    predict: Predict
    restarts: bool = False
    """Whether it can begin again where what arrives is not known, as a norm does."""
    has_norm: bool = False
    """Whether a norm is inside."""
    averages: bool = False
    """Whether it gives means over positions."""
    centres_channels: bool = False
    """Whether it subtracts the mean of each channel."""
    keeps_shared: bool = False
    """Whether it takes no mean over units out of a gradient."""
    has_shortcut: bool = False
    """Whether what it reads is a part of what it gives, beside what its weights make."""
    own_values: Law | None = None
    """What its parameters start as where no scheme does that."""

    @property
    def normalizes(self) -> bool:
        """Whether energies do not multiply from layer to layer."""
        return self.restarts or self.has_norm

    def ask(self, node: Node) -> Passed:
        """What the rule predicts.

        Raises:
            Unpredictable: it cannot say, or fails; so may the way back.
        """
        with _as_unpredictable(node):
            result = self.predict(node)

        def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
            with _as_unpredictable(node):
                return result.back(gradients)

        return replace(result, back=back)


@contextmanager
def _as_unpredictable(node: Node) -> Generator[None]:
    """Whatever the code of a rule raises: it may be anybody's."""
    try:
        yield
    except Unpredictable:
        raise
    except Exception as error:
        raise Unpredictable(f"the signal rule of `{node.layer.type}` fails: {sentence(error)}") from error


RULES = Registry[SignalRule](
    "a signal rule", "modelforge.signals", definition=lambda rule: rule.predict, package="modelforge.signal.rules"
)
"""Every rule by the name of its layer type."""
unregister_signal = RULES.remove


def register_signal(
    name: str,
    *others: str,
    restarts: bool = False,
    has_norm: bool = False,
    averages: bool = False,
    centres_channels: bool = False,
    keeps_shared: bool = False,
    has_shortcut: bool = False,
    own_values: Law | None = None,
) -> Callable[[AnyPredict], AnyPredict]:
    """Makes a function known as what `mf.predict` asks about the layer types of these names.

    Args:
        name: A layer type.
        others: Other layer types that do the same.
        restarts: The rule knows its output whatever arrives, as a norm does: `node.signals` may hold None.
        has_norm: The layer has a norm inside, as a transformer layer has: `mf.lint` takes it for one.
        averages: The layer gives means over positions. By how much they lower an energy depends on how alike positions
            are, so linter and diagnosis do not count it.
        centres_channels: The layer subtracts the mean of each channel, as a batch norm does: `mf.lint` says so of a
            bias before it.
        keeps_shared: The layer takes no mean over units out, so that a gradient which all units share is known before
            it. No activation does.
        has_shortcut: The layer adds what it reads to what its weights make of it, so that both depend on each other.
        own_values: From the parameters of a layer and the name of one to its mean and std, where the layer fills
            them by itself (`scheme: torch`).

    Example:
        >>> @register_signal("Halve")
        ... def halve(node: Node) -> Passed:
        ...     return passed(node.signal.times(0.5), lambda gradient: gradient.times(0.5))
        >>> unregister_signal("Halve")
    """

    def register(predict: AnyPredict) -> AnyPredict:
        rule = SignalRule(
            predict,
            restarts=restarts,
            has_norm=has_norm,
            averages=averages,
            centres_channels=centres_channels,
            keeps_shared=keeps_shared,
            has_shortcut=has_shortcut,
            own_values=own_values,
        )
        RULES.add(name, rule, others)
        return predict

    return register
