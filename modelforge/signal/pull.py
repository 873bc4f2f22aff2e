"""What norms make of a gradient by dividing by small variances, and what weights and slopes before them take back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from modelforge.signal.inverse import Inverse, inverse

LEAST = 1e-9
"""A relative variance that counts as none."""


@dataclass(frozen=True, slots=True)
class Pull:
    """What a norm of units one by one made of a gradient: those of little variance got more.

    Weights right before it made the variances. As far as these differ by the weights, their size takes that back: w²/v
    is the same for all.
    """

    factor: float
    """The part of E g² that comes from the unevenness of variances."""
    noise: float
    freedom: float
    """Degrees of freedom of a variance, 2/d its relative variance."""
    alone: float
    """The same where nothing but the number of examples and positions makes variances differ."""
    count: float
    """Variances that differ from each other."""
    share: float = 1.0
    """How much of each variance the weights made, where something was added before the norm."""
    origin: object = field(default_factory=object, repr=False)
    """The norm."""

    def kept(self, fan_in: float, share: float, chance: float, held: float | None) -> Inverse:
        """What weights that made a share of the variances leave of it, where their size takes back what they made.

        Formula: E w²/v in place of E w²·E 1/v; v = |w|²·χ²_d/d, where 1/d is what d has apart from the 1/n of the
            weights, and for a single unit whose own variance is held, half the relative variance of that

        Args:
            fan_in: n, what the weights read.
            share: The share that they made.
            chance: The squared correlation by chance of what they read.
            held: What is held of the variances that they read (`Signal.held`).
        """
        rest = max(1 / self.alone, 1 / self.freedom - share * (1 - chance) / fan_in)
        if held is not None:
            rest += share * (held / 2 - rest) / fan_in
        return inverse(1 / max(rest, LEAST), self.count)

    def sloped(self, less: float, power: float) -> tuple[float, Pull]:
        """Before a function that made the numbers: the factor on E g², and what weights before it can take back.

        Args:
            less: By how much less the inverse of a variance scatters where slopes count.
            power: The power of the energy before that the variances go with.
        """
        made = inverse(_left(self.freedom, less), self.count)
        noise = self.noise + made.noise - inverse(self.freedom, self.count).noise
        freedom, alone = _left(self.freedom, less), _left(self.alone, less)
        pull = replace(self, factor=made.factor, noise=noise, freedom=freedom, alone=alone, share=power * self.share)
        return made.factor / self.factor, pull


@dataclass(frozen=True, slots=True)
class Divided:
    """What a norm of each position by itself made of a gradient: positions of little variance got more.

    Where the slopes of an activation are large, so is in general what it makes, and the variance: E φ′²/v is less than
    the product of means.
    """

    sizes: tuple[int, ...]
    """Of the tensor whose elements, those of one position, make a variance."""
    size: int
    """How many do."""
    freedom: float
    """Degrees of freedom of a variance."""
    count: float
    """Variances."""
    eps: float
    """In units of the variance."""
    centred: bool
    share: float = 1.0
    """By which power of these elements' energy the variance grows."""

    def sloped(self, less: float) -> Inverse:
        """The factor that slopes make of it, and what they add to the noise."""
        before = inverse(self.freedom, self.count, self.eps)
        after = inverse(_left(self.freedom, self.share * less / self.size), self.count, self.eps)
        return Inverse(after.factor / before.factor, after.noise - before.noise)


def _left(freedom: float, less: float) -> float:
    """Degrees of freedom of what scatters less: 2/d ← 2/d - less."""
    return 2 / max(2 / freedom - less, LEAST)
