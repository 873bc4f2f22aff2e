"""Quantities of signals and gradients: energies, ratios, saturated and dead units."""

from __future__ import annotations

import math

from pydantic import NonNegativeInt

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.suggestions import did_you_mean
from modelforge.core.words import plural
from modelforge.gallery.quantity import CODE, Quantity, Reading, exponential, quotient, register_quantity
from modelforge.gallery.subject import Batch, Subject, When
from modelforge.signal.measures import Moments
from modelforge.signal.nodes import ProbedNode
from modelforge.signal.predict import NodeSignal


class OfSignal(Quantity):
    """A number that is measured on a batch."""

    batch: Batch = "noise"
    """What the network reads: independent numbers, or training examples."""
    when: When = "start"
    """Whether the network is measured at the start or trained."""

    def measured(self, subject: Subject, path: str) -> ProbedNode:
        """The node at a path.

        Raises:
            ForgeError: there is none.
        """
        nodes = subject.probed(self.batch, self.when).nodes
        found = next((node for node in nodes if node.path == path), None)
        if found is None:
            raise absent(path, [node.path for node in nodes])
        return found

    def predicted(self, subject: Subject, path: str) -> NodeSignal | None:
        """The prediction at a path; None where there is none for this batch."""
        if self.batch != "noise" or self.when != "start":
            return None
        return subject.prediction.by_path.get(path)

    @property
    def note(self) -> str:
        """What is measured, if it is not noise at the start, in words."""
        data = " on data" if self.batch == "data" else ""
        return data + (" after training" if self.when == "trained" else "")


def absent(path: str, known: list[str]) -> ForgeError:
    """The problem of a layer that does not exist."""
    return ForgeError([Problem(CODE, "claim", f"nothing is measured at `{path}`", did_you_mean(path, known))])


@register_quantity("forward")
class Forward(OfSignal):
    """The mean square of what a layer gives, E x²."""

    at: str
    """Path of the layer."""

    def measure(self, subject: Subject) -> Reading:
        predicted = self.predicted(subject, self.at)
        signal = predicted.signal if predicted is not None else None
        spread = None if signal is None else signal.spread
        return Reading(self.measured(subject, self.at).forward.second_moment, spread)

    @property
    def words(self) -> str:
        return f"E x² at {self.at}{self.note}"


@register_quantity("predicted_forward")
class PredictedForward(Quantity):
    """The mean square of what a layer gives, as it is predicted without values."""

    at: str
    """Path of the layer."""

    def measure(self, subject: Subject) -> Reading:
        found = subject.prediction.by_path.get(self.at)
        if found is None:
            raise absent(self.at, [*subject.prediction.by_path])
        return Reading(math.nan if found.signal is None else found.signal.second)

    @property
    def words(self) -> str:
        return f"predicted E x² at {self.at}"


@register_quantity("mean")
class Mean(OfSignal):
    """The mean of what a layer gives."""

    at: str
    """Path of the layer."""

    def measure(self, subject: Subject) -> Reading:
        return Reading(self.measured(subject, self.at).forward.mean)

    @property
    def words(self) -> str:
        return f"mean at {self.at}{self.note}"


@register_quantity("std_ratio")
class StdRatio(OfSignal):
    """The std of what one layer gives, divided by that of another."""

    at: str
    """Path of the layer."""
    to: str
    """Path of the layer that it is compared with."""

    def measure(self, subject: Subject) -> Reading:
        early, late = (self.measured(subject, path).forward.std for path in (self.at, self.to))
        return Reading(quotient(early, late))

    @property
    def words(self) -> str:
        return f"std at {self.at} / std at {self.to}{self.note}"


@register_quantity("gradient_ratio")
class GradientRatio(OfSignal):
    """The energy of gradients at an early layer, divided by that at a late layer."""

    at: str
    """Path of the early layer."""
    to: str
    """Path of the late layer."""

    def measure(self, subject: Subject) -> Reading:
        early, late = (_gradient(self.measured(subject, path)) for path in (self.at, self.to))
        spreads = [
            found.gradient.spread
            for path in (self.at, self.to)
            if (found := self.predicted(subject, path)) is not None and found.gradient is not None
        ]
        # The draws between both layers add up; what is drawn after the late layer moves both.
        spread = math.sqrt(max(spreads) ** 2 - min(spreads) ** 2) if len(spreads) == 2 else None
        return Reading(exponential(early.log_second_moment - late.log_second_moment), spread)

    @property
    def words(self) -> str:
        return f"E g² at {self.at} / E g² at {self.to}{self.note}"


@register_quantity("gradient_through_time")
class GradientThroughTime(OfSignal):
    """By what a step back through time multiplies the RMS of the gradient of a state, on the average of many steps."""

    at: str
    """Path of the state, such as `rnn.h_l0`."""
    skip: NonNegativeInt = 0
    """First steps that are left out."""

    def measure(self, subject: Subject) -> Reading:
        steps = self.measured(subject, self.at).steps
        there = [step.gradient.log_second_moment for step in steps[self.skip :] if step.gradient is not None]
        if len(there) < 2:
            message = f"`{self.at}` has gradients of {plural(len(there), 'step')} after the first {self.skip}"
            hint = f"two are needed: `skip` can be {len(steps) - 2} at most" if len(steps) > 1 else "take a state"
            raise ForgeError([Problem(CODE, "claim", message, hint)])
        return Reading(exponential((there[0] - there[-1]) / (2 * (len(there) - 1))))

    @property
    def words(self) -> str:
        return f"gradient's factor per step of {self.at}{self.note}"


@register_quantity("saturated")
class Saturated(OfSignal):
    """The share of an activation's inputs at which its slope is below 5 % of its steepest."""

    at: str
    """Path of the activation."""

    def measure(self, subject: Subject) -> Reading:
        found = self.measured(subject, self.at).saturated
        return Reading(math.nan if found is None else found)

    @property
    def words(self) -> str:
        return f"saturated share at {self.at}{self.note}"


@register_quantity("dead")
class Dead(OfSignal):
    """The share of units whose value is the same for every example."""

    at: str
    """Path of the layer."""

    def measure(self, subject: Subject) -> Reading:
        node = self.measured(subject, self.at)
        return Reading(math.nan if node.num_dead is None else node.num_dead / node.num_units)

    @property
    def words(self) -> str:
        return f"share of dead units at {self.at}{self.note}"


@register_quantity("effective_rank")
class EffectiveRank(OfSignal):
    """The effective rank of what a layer gives for a batch."""

    at: str
    """Path of the layer."""

    def measure(self, subject: Subject) -> Reading:
        found = self.measured(subject, self.at).effective_rank
        return Reading(math.nan if found is None else found)

    @property
    def words(self) -> str:
        return f"effective rank at {self.at}{self.note}"


def _gradient(node: ProbedNode) -> Moments:
    if node.gradient is None:
        raise ForgeError([Problem(CODE, "claim", f"no gradient arrives at `{node.path}`")])
    return node.gradient
