"""`Profile`: a curve of a subject, for a picture. A class in a file of `profiles/` adds one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

from modelforge.core.frozen import AsTuple, Node
from modelforge.core.registry import Registry
from modelforge.gallery.quantity import parse_typed
from modelforge.gallery.subject import Subject


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one variant, with one seed."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Profile(Node, ABC):
    """A curve of one variant with one seed. The fields of a subclass are its settings in a claim."""

    x_label: ClassVar[str]
    y_label: ClassVar[str]
    log: ClassVar[bool] = False
    """Whether the vertical axis is logarithmic."""

    type: str = ""
    """The name of the profile."""
    of: Annotated[tuple[str, ...], AsTuple] = ()
    """The variants that are drawn; empty for all."""

    @abstractmethod
    def curve(self, subject: Subject) -> Curve:
        """The points of a subject.

        Raises:
            ForgeError: the subject has no such points.
        """

    @property
    def title(self) -> str:
        """What the picture shows, in words."""
        return f"{self.y_label} by {self.x_label}"


PROFILES = Registry[type[Profile]](
    "a profile", "modelforge.profiles", package="modelforge.gallery.profiles", base=Profile
)
"""Every profile by its name."""


register_profile = PROFILES.register
"""Makes a class known as `pictures: [{type: name}]` of a claim."""
parse_profile: Callable[[Any], Profile] = partial(parse_typed, PROFILES)
"""The profile that a claim names."""
