"""Quantities of matrices: the Jacobian, recurrent weights, equal units, and the depth that correlations survive."""

from __future__ import annotations

import math

import torch

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.suggestions import did_you_mean
from modelforge.gallery.quantity import CODE, Quantity, Reading, quotient, register_quantity
from modelforge.gallery.subject import Subject, When


@register_quantity("singular_value")
class SingularValue(Quantity):
    """The largest singular value of the network's Jacobian at the start, divided by the root of their mean square."""

    def measure(self, subject: Subject) -> Reading:
        found = subject.jacobian
        if found is None or found.largest is None:
            return Reading(math.nan)
        return Reading(quotient(found.largest, math.sqrt(found.mean_square)))

    @property
    def words(self) -> str:
        return "largest / RMS singular value of the Jacobian"


@register_quantity("radius")
class Radius(Quantity):
    """The spectral radius of a recurrent matrix at the start."""

    at: str
    """Path of the matrix."""

    def measure(self, subject: Subject) -> Reading:
        spectra = {found.path: found for found in subject.probed("noise", "start").spectra}
        if self.at not in spectra:
            message = f"there is no recurrent matrix `{self.at}`"
            raise ForgeError([Problem(CODE, "claim", message, did_you_mean(self.at, spectra))])
        return Reading(spectra[self.at].radius)

    @property
    def words(self) -> str:
        return f"spectral radius of {self.at}"


@register_quantity("distinct_units")
class DistinctUnits(Quantity):
    """The number of different rows of a weight: units with equal rows compute the same."""

    at: str
    """Path of the weight."""
    when: When = "start"
    """Whether the network is measured at the start or trained."""

    def measure(self, subject: Subject) -> Reading:
        weights = dict(subject.model(self.when).named_parameters())
        if self.at not in weights:
            message = f"there is no parameter `{self.at}`"
            raise ForgeError([Problem(CODE, "claim", message, did_you_mean(self.at, weights))])
        weight = weights[self.at].detach()
        if weight.ndim < 2:
            message = f"`{self.at}` has no rows: its shape is {tuple(weight.shape)}"
            raise ForgeError([Problem(CODE, "claim", message, "take a weight with two dimensions or more")])
        # A NaN differs from itself: each row with one would count.
        return Reading(math.nan if weight.isnan().any() else float(len(torch.unique(weight.flatten(1), dim=0))))

    @property
    def words(self) -> str:
        return f"different rows of {self.at}" + (" after training" if self.when == "trained" else "")


@register_quantity("correlation_depth")
class CorrelationDepth(Quantity):
    """The predicted depth scale ξ over which the correlation of two inputs comes e times as near to its fixed point."""

    at: str
    """Path of an activation, so deep that the variance has settled."""

    def measure(self, subject: Subject) -> Reading:
        found = subject.prediction.by_path.get(self.at)
        if found is None or found.chi is None:
            known = [path for path, node in subject.prediction.by_path.items() if node.chi is not None]
            raise ForgeError([Problem(CODE, "claim", f"`{self.at}` has no χ₁", did_you_mean(self.at, known))])
        depth = found.correlation_depth
        return Reading(math.nan if depth is None else depth)

    @property
    def words(self) -> str:
        return f"correlation depth at {self.at}"
