"""What a calibration is: one frozen class whose fields are its config and whose method looks at a layer's output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from modelforge.calibration.moments import Moments
from modelforge.core.frozen import Node


@dataclass(frozen=True, slots=True)
class Correction:
    """weight ← factor · weight; and with a shift, bias ← factor · bias + shift. A number each, or one per channel."""

    factor: Tensor
    shift: Tensor | None = None


class Calibration(Node, ABC):
    """Base of every calibration; leaf classes are final and registered with `register_calibration`."""

    method: ClassVar[str] = ""
    """The registry name, set by `register_calibration`."""
    by_channel: ClassVar[bool] = False
    """Whether outputs are measured, and weights multiplied, channel by channel."""
    shifts: ClassVar[bool] = False
    """Whether it moves biases too; layers without one are left then."""

    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """How far a variance may stay from 1, and a mean that is shifted from 0."""
    max_passes: Annotated[int, Field(ge=1, le=1000)] = 10
    """How often a layer is corrected at most."""

    @abstractmethod
    def correct(self, seen: Moments) -> Correction:
        """What to do about a layer whose output has these moments; their variances are finite and above 0."""

    def satisfied(self, seen: Moments) -> bool:
        """Whether an output with these moments needs no correction: strictly within the tolerance."""
        off = (seen.variance - 1).abs()
        if self.shifts:
            off = off.maximum(seen.mean.abs())
        return bool((off < self.tolerance).all())
