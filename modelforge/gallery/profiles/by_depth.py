"""Profiles by depth: signals, gradients and saturation, layer by layer."""

from __future__ import annotations

import math
from abc import abstractmethod
from fnmatch import fnmatchcase

from modelforge.core.errors import ForgeError, Problem
from modelforge.gallery.profile import Curve, Profile, register_profile
from modelforge.gallery.quantity import CODE
from modelforge.gallery.subject import Batch, Subject, When
from modelforge.signal.nodes import ProbedNode


class ByDepth(Profile):
    """A number of each layer."""

    x_label = "layer"

    at: str
    """A glob over the paths of layers."""
    batch: Batch = "noise"
    """What the network reads: independent numbers, or training examples."""
    when: When = "start"
    """Whether the network is measured at the start or trained."""

    def curve(self, subject: Subject) -> Curve:
        nodes = [node for node in subject.probed(self.batch, self.when).nodes if fnmatchcase(node.path, self.at)]
        if not nodes:
            raise ForgeError([Problem(CODE, "claim.pictures", f"no layer matches `{self.at}`")])
        return Curve(tuple(map(float, range(1, len(nodes) + 1))), tuple(self.number(node) for node in nodes))

    @abstractmethod
    def number(self, node: ProbedNode) -> float:
        """The number of one layer."""


@register_profile("forward")
class Forward(ByDepth):
    """The mean square of what each layer gives."""

    y_label = "E x²"
    log = True

    def number(self, node: ProbedNode) -> float:
        return node.forward.second_moment


@register_profile("std")
class Std(ByDepth):
    """The std of what each layer gives."""

    y_label = "std"
    log = True

    def number(self, node: ProbedNode) -> float:
        return node.forward.std


@register_profile("gradient")
class Gradient(ByDepth):
    """The mean square of the gradient with respect to what each layer gives."""

    y_label = "E g²"
    log = True

    def number(self, node: ProbedNode) -> float:
        return math.nan if node.gradient is None else node.gradient.second_moment


@register_profile("saturated")
class Saturated(ByDepth):
    """The saturated share of each activation."""

    y_label = "saturated share"

    def number(self, node: ProbedNode) -> float:
        return math.nan if node.saturated is None else node.saturated
