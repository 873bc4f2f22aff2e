"""Profiles by epoch, by time step, and by the number of a singular value."""

from __future__ import annotations

import math

from modelforge.core.errors import ForgeError, Problem
from modelforge.gallery.profile import Curve, Profile, register_profile
from modelforge.gallery.quantity import CODE, quotient
from modelforge.gallery.subject import Subject


@register_profile("loss")
class Loss(Profile):
    """The loss of the validation part after each epoch."""

    x_label = "epoch"
    y_label = "val/loss"
    log = True

    def curve(self, subject: Subject) -> Curve:
        losses = tuple(row["val/loss"] for row in subject.training.epochs)
        return Curve(tuple(map(float, range(1, len(losses) + 1))), losses)


@register_profile("through_time")
class ThroughTime(Profile):
    """The mean square of the gradient with respect to the state after each step, of a loss after the last."""

    x_label = "time step"
    y_label = "E g²"
    log = True

    at: str
    """Path of the state, such as `rnn.h_l0`."""

    def curve(self, subject: Subject) -> Curve:
        found = next((node for node in subject.probed("noise", "start").nodes if node.path == self.at), None)
        if found is None:
            raise ForgeError([Problem(CODE, "claim.pictures", f"nothing is measured at `{self.at}`")])
        energies = (math.nan if step.gradient is None else step.gradient.second_moment for step in found.steps)
        return Curve(tuple(map(float, range(1, len(found.steps) + 1))), tuple(energies))


@register_profile("singular_values")
class SingularValues(Profile):
    """The singular values of the network's Jacobian at the start, divided by the root of their mean square."""

    x_label = "number"
    y_label = "singular value / RMS"
    log = True

    def curve(self, subject: Subject) -> Curve:
        found = subject.jacobian
        singular = () if found is None else found.singular_values
        mean = math.nan if found is None else math.sqrt(found.mean_square)
        numbers = tuple(map(float, range(1, len(singular) + 1)))
        return Curve(numbers, tuple(quotient(one, mean) for one in singular))
