"""Curves: the learning rate over a training of known length, as a factor of the optimizer's; each with a warm-up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import cos, pi, sqrt
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PositiveInt

from modelforge.core.complaints import wrong
from modelforge.core.frozen import Node
from modelforge.core.quoting import quoted


def _check_part(raw: Any) -> Any:
    whole, fraction = type(raw) is int and raw >= 0, type(raw) is float and 0 <= raw < 1
    if not (whole or fraction):
        message = f"must be a number of steps, or a fraction of the training below 1, but is {quoted(raw)}"
        raise wrong("MF051", message)
    return raw


Part = Annotated[int | float, BeforeValidator(_check_part)]
Final = Annotated[float, Field(ge=0)]


class Curve(Node, ABC):
    """A learning rate that rises for `warmup` steps, and then follows the curve of its class to `horizon`.

    Step t of a warm-up of w has the factor (t + 1) / (w + 1). After the horizon the factor stays at its last value.
    """

    ends: ClassVar[bool] = False
    """Whether it leads to the end of the training."""

    warmup: Part = 0
    """Steps of the warm-up, or the fraction of the training that it takes."""
    horizon: PositiveInt | None = None
    """The number of steps to the end of the curve; default the length of the training."""

    @property
    def needs_horizon(self) -> bool:
        """Whether the curve depends on the length of the training."""
        return self.ends or isinstance(self.warmup, float)

    def num_warmup(self, horizon: int) -> int:
        """The steps of the warm-up."""
        return _steps(self.warmup, horizon)

    def factor(self, step: int, horizon: int) -> float:
        """By what the learning rate is multiplied at a step, counted from 0."""
        warmup = self.num_warmup(horizon)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return self.after(step - warmup, max(horizon - warmup, 0), warmup)

    @abstractmethod
    def after(self, step: int, length: int, warmup: int) -> float:
        """The factor at a step after the warm-up.

        Args:
            step: Counted from the end of the warm-up.
            length: Steps from there to the horizon.
            warmup: Steps of the warm-up.
        """


class Constant(Curve):
    """The optimizer's learning rate."""

    def after(self, step: int, length: int, warmup: int) -> float:
        return 1.0


class Linear(Curve):
    """A straight line to `final`."""

    ends: ClassVar = True

    final: Final = 0.0
    """The factor at the horizon."""

    def after(self, step: int, length: int, warmup: int) -> float:
        return self.final + (1 - self.final) * (1 - _part(step, length))


class Cosine(Curve):
    """Half a cosine to `final`. Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts."""

    ends: ClassVar = True

    final: Final = 0.0
    """The factor at the horizon."""

    def after(self, step: int, length: int, warmup: int) -> float:
        return self.final + (1 - self.final) * (1 + cos(pi * _part(step, length))) / 2


class InverseSqrt(Curve):
    """1 / √t, equal to 1 where the warm-up ends. Vaswani et al. 2017, arXiv:1706.03762, section 5.3."""

    def after(self, step: int, length: int, warmup: int) -> float:
        return sqrt((warmup + 1) / (warmup + step + 1))


class WSD(Curve):
    """Warm-up, stable, decay: constant, and at the end a straight line to `final`. Hu et al. 2024, arXiv:2404.06395."""

    ends: ClassVar = True

    decay: Part = 0.2
    """Steps of the decay, or the fraction of the training that it takes."""
    final: Final = 0.0
    """The factor at the horizon."""

    def after(self, step: int, length: int, warmup: int) -> float:
        decay = min(_steps(self.decay, warmup + length), length)
        return self.final + (1 - self.final) * (1 - _part(step - (length - decay), decay))


CURVES: Mapping[str, type[Curve]] = MappingProxyType(
    {"constant": Constant, "linear": Linear, "cosine": Cosine, "inverse_sqrt": InverseSqrt, "wsd": WSD}
)
"""The curves by the name that a config gives as `type`."""


def _steps(given: float, horizon: int) -> int:
    return round(given * horizon) if isinstance(given, float) else given


def _part(step: int, length: int) -> float:
    """The part of a length that is done, from 0 to 1."""
    return 0.0 if step < 0 else 1.0 if step >= length else step / length
