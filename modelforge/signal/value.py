"""`Signal` and `Gradient`: what is predicted of a tensor and of the gradient with respect to it, in place of values.

Elements are taken as exchangeable: all pairs of one kind have one covariance. Weights that are drawn independently keep
that exact for inputs that are exchangeable themselves, as independent numbers are; a signal is then the kernel of the
neural network as a Gaussian process (Lee et al. 2018, arXiv:1711.00165; Novak et al. 2019, arXiv:1810.05148) with three
entries in place of one for each pair. Where zero padding makes positions unequal, `profile` holds how unequal.

Pairs are of one unit at two positions of an example (`along`), or in two examples (`across`); of the latter, `placed`
is how much more they have at one position than at two. Over draws of all weights, ln of the mean energy scatters:

- `drift`: by what was drawn before; layers that follow inherit it. `noise`: by the number of elements here, on top.
- `lift`: the mean of ln is that much above a lognormal law's. `scatter`: ln of single examples, where they are far
  apart.
- `chance`: vectors of few units point to similar directions, as a squared correlation.

Energies differ from place to place: `profile` by padding, `swing` by chance, `loose` what a norm leaves of that,
`level` after norms in series. The law of one element is normal but for `third` and `tail`; `preactivation` knows it
whole. What norms took out of a gradient, or made of it, is `radial`, `turned`, `square`, `pull` and `divided`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import log, sqrt
from typing import Any

import numpy as np
from torch import Tensor

from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Activation
from modelforge.signal.elements import Elements
from modelforge.signal.inverse import Inverse, Level
from modelforge.signal.pull import Divided, Pull
from modelforge.signal.scatter import POINTS, GradientScatter, Scatter, shared_part
from modelforge.signal.shape import Shape

LEAST = 1e-9
"""A share that counts as none."""
Profile = Mapping[int, np.ndarray]
"""Energy along dimensions where it is not the same everywhere, each with mean 1."""
FLAT: Profile = FrozenDict()
"""Energy that is the same everywhere."""


@dataclass(frozen=True, slots=True)
class Preactivation:
    """Normal numbers, and the function that was applied to them."""

    activation: Activation
    mean: float
    variance: float
    along: float
    """Correlation of one unit at two positions of an example."""
    across: float
    """Correlation of one unit in two examples."""
    near: float = 0.0
    """The `near` of the normal numbers."""

    def moved(self, factor: float, shift: float = 0.0) -> Preactivation:
        """That of a number times what was made, and another one added."""
        name = f"{factor:.6g} times {self.activation.name} + {shift:.6g}"
        return replace(self, activation=Activation(name, _moved(self.activation.function, factor, shift)))


@lru_cache(maxsize=1024)
def _moved(function: Callable[[Tensor], Tensor], factor: float, shift: float) -> Callable[[Tensor], Tensor]:
    """One function for equal numbers, so that its moments are computed once."""
    return lambda x: factor * function(x) + shift


@dataclass(frozen=True, slots=True)
class Signal:
    """Moments of a tensor over its elements and over draws of all weights."""

    shape: Shape
    mean: float
    second: float
    """E x²."""
    along: float
    """E x x′ of one unit at two positions of an example."""
    across: float
    """E x x′ of one unit in two examples, a mean over all pairs of positions."""
    placed: float = 0.0
    """By how much more that is at one position than at two: padding leaves each position taps of its own."""
    drift: float = 0.0
    """Variance of ln E x² over draws of the weights before it, which the layers after it inherit."""
    noise: float = 0.0
    """Variance of ln E x² on top of that, from the number of elements here."""
    lift: float = 0.0
    """By how much the mean of ln E x² over draws is above that of a lognormal law of this energy and spread."""
    chance: float = 0.0
    """The squared correlation of two examples or positions in one model, about what all have in common and where its
    mean over models is 0: chance."""
    own_chance: float = 0.0
    """The same on top of that for one unit, where groups of units read different ones."""
    swing: float = 0.0
    """Relative variance of E x² over positions and examples, on top of what comes from the number of units."""
    third: float = 0.0
    """E (x - E x)³; 0 for normal numbers."""
    tail: float = 2.0
    """Relative variance of the squares of elements of one position: κ = E x⁴/(E x²)² - 1; 2 for normal numbers."""
    loose: float = 1.0
    """The share of what the number of units makes energies of positions differ by; 0 where a norm holds each at 1."""
    shared: bool = False
    """Whether its units share a sum, as after weights with a mean."""
    balanced: bool = False
    """Whether a norm holds means of positions as well."""
    weight_gain: float | None = None
    """σ_w² = n·E w² of the weights right before it; None where there are none."""
    profile: Profile = field(default=FLAT, repr=False)
    later: Profile = field(default=FLAT, repr=False)
    """`along` by the later of two positions, in units of its mean, where positions read earlier ones only."""
    table: tuple[str, float] | None = None
    """A table of which each position holds a row that it chose, and how often."""
    held: float | None = None
    """Relative variance of a unit's own variance over the batch, where a batch norm holds that before it at 1."""
    level: Level | None = None
    """Energies of positions, where norms of small ones made them and nothing mixed them since."""
    near: float = 0.0
    """Correlation of neighbouring positions on top of that of any two, where both were made of the same ones."""
    preactivation: Preactivation | None = None
    """The activation that made it, and the normal numbers before it; None where its elements are taken as normal."""
    elements: Elements | None = field(default=None, repr=False)
    """What makes them no normal numbers of one law, until weights mix them."""
    scatter: Scatter | None = field(default=None, repr=False)
    """How examples differ, where `drift` and `lift` come from that; None where they are near each other."""

    @property
    def variance(self) -> float:
        """E x² - (E x)²."""
        return max(0.0, self.second - self.mean**2)

    @property
    def spread(self) -> float:
        """Standard deviation of ln E x² over draws: what one model may be off by."""
        return sqrt(self.drift + self.noise)

    @property
    def log_mean(self) -> float:
        """The mean of ln E x² over draws: below ln of the mean, as that is for what scatters."""
        return log(self.second) - (self.drift + self.noise) / 2 + self.lift

    def correlation(self, covariance: float) -> float:
        """A covariance (`along`, `across`) about the mean, in units of the variance."""
        return 0.0 if self.variance == 0 else float(np.clip((covariance - self.mean**2) / self.variance, -1, 1))

    @property
    def fewer(self) -> float:
        """How many times fewer examples there seem to be; where they are followed, their law has it."""
        return 1.0 if self.scatter is not None else self.shape.fewer(self.swing)

    @property
    def central_tail(self) -> float:
        """Relative variance of the squares of x - E x; 2 for normal numbers."""
        if self.variance <= LEAST * self.second:
            return 2.0
        cube = self.third + self.mean * (3 * self.second - 2 * self.mean**2)
        fourth = (1 + self.tail) * self.second**2 - 4 * self.mean * cube + 6 * self.mean**2 * self.second
        return max(0.0, (fourth - 3 * self.mean**4) / self.variance**2 - 1)

    @property
    def uneven(self) -> float:
        """Relative variance of the energies of positions, with what the number of units makes them differ by."""
        return self.swing + self.loose * (1 + self.swing) * self.tail / self.shape.num_units

    @property
    def by_place(self) -> tuple[float, float]:
        """E x x′ of one unit in two examples at one position, and at two."""
        share = 1 / self.shape.num_positions
        return self.across + (1 - share) * self.placed, self.across - share * self.placed

    def over_places(self, same: float, other: float) -> float:
        """The mean over pairs of positions of something that is `same` at one position, and `other` at two."""
        return other + (same - other) / self.shape.num_positions

    @property
    def lean(self) -> float:
        """The skewness E (x - E x)³ / σ³."""
        return self.third / self.variance**1.5 if self.variance > 0 else 0.0

    def lean_of_unit(self, variance: float) -> float:
        """The mean skewness of units, each about its own mean, of which they have a variance."""
        if self.elements is not None and self.elements.lean is not None:
            return self.elements.lean
        return self.third / variance**1.5 if variance > 0 else 0.0

    def overlap(self, same: float, along: float, across: float, fewer: float = 1.0) -> float:
        """Mean over all pairs of elements of a unit of something that depends on the kind of the pair.

        Args:
            same: Its value for an element and itself.
            along: For two positions of one example.
            across: For two examples.
            fewer: How many times fewer elements there seem to be (`Shape.fewer`).
        """
        positions, examples = self.shape.num_positions, self.shape.num_examples
        count = positions * examples
        others = (positions - 1) * along + (examples - 1) * positions * across
        share = fewer / count
        return share * same + (1 - share) * others / max(1, count - 1)

    def remade(self, shape: Shape, **moments: Any) -> Signal:
        """The signal of another tensor with some moments of this one.

        What holds for this tensor alone is left out unless given: what one position, one unit or one weight did.
        """
        own = {
            "placed": 0.0,
            "loose": 1.0,
            "balanced": False,
            **dict.fromkeys(("level", "table", "held", "weight_gain", "preactivation", "elements", "scatter")),
        }
        return replace(self, shape=shape, **(own | moments))

    def by_example(self) -> Scatter:
        """How examples differ: where nothing is followed yet, by noise."""
        if self.scatter is not None:
            return self.scatter
        noise = max(self.swing, self.drift) + self.loose * self.tail / self.shape.num_units
        shared = shared_part(noise, self.drift + self.noise, self.shape.num_examples)
        return Scatter(self.lift + 0 * POINTS, 0.0, noise, shared)

    def regrouped(self, shape: Shape) -> Signal:
        """The signal with fewer positions, of which each pair is one of equal or of unequal positions as before."""
        same, other = self.by_place
        return replace(self, shape=shape, across=other + (same - other) / shape.num_positions)

    def swing_of(self, sums: Signal, alike: float) -> float:
        """The swing of sums over positions, which has more where positions are alike by chance.

        Formula: |Σ m·u|² of vectors u whose squared correlation is c has the relative variance 2·(1 - Σ m⁴/(Σ m²)²)·c

        Args:
            sums: What is made.
            alike: Σ m⁴/(Σ m²)² of the weights, one over the number of positions in a mean.
        """
        own = max(0.0, 1 - abs(sums.along) / sums.second) if sums.second > 0 else 0.0
        return alike * self.swing + 2 * (1 - alike) * self.chance * own**2

    def times(self, factor: float) -> Signal:
        """The signal of a number times the tensor."""
        square = factor**2
        return replace(
            self,
            mean=factor * self.mean,
            **{name: square * getattr(self, name) for name in ("second", "along", "across", "placed")},
            third=factor**3 * self.third,
            table=self.table and (self.table[0], factor * self.table[1]),
            preactivation=self.preactivation and self.preactivation.moved(factor),
        )


@dataclass(frozen=True, slots=True)
class Through:
    """An activation and what it reads, in the eyes of a gradient that comes back through it."""

    activation: Activation
    mean: float
    variance: float


@dataclass(frozen=True, slots=True)
class Gradient:
    """Moments of the gradient with respect to a tensor; its mean is 0."""

    energy: float
    """E g²."""
    along: float = 0.0
    """E g g′ of one unit at two positions of an example."""
    across: float = 0.0
    """E g g′ of one unit in two examples."""
    drift: float = 0.0
    noise: float = 0.0
    chance: float = 0.0
    tilt: float = 1.0
    """How much steeper the activation before is, in energy, where the gradient arrives (at maxima) than elsewhere."""
    profile: Profile = field(default=FLAT, repr=False)
    later: Profile = field(default=FLAT, repr=False)
    """`along` by the later of two positions, in units of its mean."""
    pull: Pull | None = None
    through: Through | None = None
    """The activation that it has come through last; None where something else was after it on its way back."""
    level: Level | None = None
    """Energies by position that norms in series make of even ones, in units of their mean."""
    radial: Inverse | None = None
    """What a norm of each position left of the gradient in the direction of what it reads; None after other layers."""
    turned: float = 0.0
    """The share of E (Σ g x)² of a position that a norm after it has taken out."""
    square: float = 0.0
    """The share of E (Σ g x)² of a unit over the batch that a norm after it has taken out: all of it where each unit
    is read alone, as by a depthwise convolution."""
    lift: float = 0.0
    """By how much the mean of ln E g² over draws is above that of a lognormal law of this energy and spread."""
    scatter: GradientScatter | None = field(default=None, repr=False)
    """How gradients of examples differ, given the `scatter` of the signal at the same place."""
    tail: float = 2.0
    """Relative variance of the squares of elements, as that of a signal."""
    swing: float = 0.0
    """Relative variance of E g² over positions and examples, as that of a signal."""
    aligned: float | None = None
    """n·(Σ x g)²/(Σ x²·Σ g²) where weights with a mean are after it, so that units share a part; 1 by chance."""
    divided: Divided | None = None
    """What a norm of each position by itself after it made of it."""
    taken: tuple[Pull, float] | None = None
    """The pull that the weights which it has just come through have taken back, and how many numbers they read."""

    @property
    def holds(self) -> bool:
        """Whether norms after it have taken out a direction."""
        return self.radial is not None or self.turned > 0 or self.square > 0

    @property
    def spread(self) -> float:
        """Standard deviation of ln E g² over draws."""
        return sqrt(self.drift + self.noise)

    @property
    def log_mean(self) -> float:
        """The mean of ln E g² over draws."""
        return log(self.energy) - (self.drift + self.noise) / 2 + self.lift

    def by_example(self, shape: Shape) -> GradientScatter:
        """How gradients of examples differ: where nothing is followed yet, not by the energies of signals."""
        if self.scatter is not None:
            return self.scatter
        count, square = shape.num_examples, (self.across / self.energy) ** 2 if self.energy else 0.0
        alike, noise = min(1.0, square + self.chance), self.tail / shape.num_units
        total = self.drift * count / (1 + (count - 1) * alike)
        start = GradientScatter.normal((1 - alike) * total, alike * total, self.lift)
        return replace(start, noise=noise, shared_noise=shared_part(noise, self.noise, count / shape.fewer(self.swing)))

    def times(self, factor: float) -> Gradient:
        """The gradient of which each number is `factor` times as large."""
        return self.amplified(factor**2)

    def amplified(self, ratio: float) -> Gradient:
        """The gradient of `ratio` times the energy."""
        return replace(self, energy=ratio * self.energy, along=ratio * self.along, across=ratio * self.across)


def inherited(gradient: Gradient) -> Gradient:
    """The gradient with more elements than those that it is made of, whose chance stays."""
    return replace(gradient, drift=gradient.drift + gradient.noise, noise=0.0)
