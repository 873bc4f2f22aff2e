"""scatter: how far apart the examples of one batch are, where few of them have most of its energy.

Examples of a wide layer differ by chance. Where V′ is above 1, a small difference grows from layer to layer, until
energies are powers of ten apart. Then neither is the mean over a batch near its expectation, nor is its logarithm
normal. So ln of an example's energy is kept as what it is over draws: a function of a normal number. The numbers of two
examples are correlated, as both have met the same weights (a Gaussian copula).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import expm1, factorial, log, log1p, pi, sqrt

import numpy as np
import torch
from numpy.polynomial.hermite_e import hermegauss, hermeval

POINTS = np.linspace(-5, 5, 41)
"""The normal numbers at which functions of one are known."""
MASSES = np.exp(-(POINTS**2) / 2) / np.exp(-(POINTS**2) / 2).sum()
ORDERS = np.arange(1, 9)
_HERMITE = np.array([hermeval(POINTS, np.eye(len(ORDERS) + 1)[order]) / sqrt(factorial(order)) for order in ORDERS])
_DRAWS, _HOW_LIKELY = hermegauss(7)
_LIKELY = _HOW_LIKELY / _HOW_LIKELY.sum()
_COMMON, _COMMON_MASSES = np.linspace(-3, 3, 7), np.exp(-(np.linspace(-3, 3, 7) ** 2) / 2)
_CELLS = (POINTS[:, None] + (POINTS[1] - POINTS[0]) * np.array([-0.4, -0.2, 0.0, 0.2, 0.4])).ravel()
"""Numbers around each of `POINTS`: a law that jumps has its mean there."""
LARGEST_NUMBER = 8.0
"""The largest normal number to which laws go on as lines beyond `POINTS`."""
NUM_CDF_POINTS = 128
"""Points at which the distribution function of a mixture is known; twice as many for a sum."""
NUM_BISECTIONS = 40
"""Steps in which a correlation is found."""
FENTON_VARIANCE = 0.05
"""The variance of ln up to which a sum of lognormal numbers is taken as lognormal (Fenton-Wilkinson, Fenton 1960)."""
EULER_GAMMA = 0.5772156649015329
ABOVE_ZERO = 1e-12
"""Stands for 0 where something is divided by, or has a logarithm."""
LARGEST_EXPONENT = 700.0
"""The logarithm of a number that a float holds."""


def covariance(values: np.ndarray, correlation: float) -> float:
    """Cov(f(u), f(v)) of two normal numbers u and v, by Hermite coefficients: Σ a_k²·ρᵏ (Mehler's formula)."""
    return _series(_squares(values), correlation)


def _squares(values: np.ndarray) -> list[float]:
    """The squares of the Hermite coefficients, from the last to the first."""
    return ((_HERMITE @ (MASSES * values)) ** 2).tolist()[::-1]


def _series(squares: list[float], correlation: float) -> float:
    total = 0.0
    for square in squares:
        total = (total + square) * correlation
    return total


def variance(values: np.ndarray) -> float:
    """Var f(u)."""
    return float(MASSES @ (values - MASSES @ values) ** 2)


def correlation_of(values: np.ndarray, wanted: float) -> float:
    """The correlation of u and v at which f(u) and f(v) have a covariance."""
    low, high, squares = 0.0, 1.0, _squares(values)
    for _ in range(NUM_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _series(squares, middle) < wanted else (low, middle)
    return low


def mixture(laws: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The law of a number that has one of several laws by chance; each is a growing function of a normal number.

    Args:
        laws: At `POINTS`, along the last dimension; along the one before it are those of one mixture.
        shares: How likely each law of a mixture is.
    """
    low, high = laws.min(axis=(-2, -1)), laws.max(axis=(-2, -1))
    grid = np.linspace(low, np.maximum(high, low + ABOVE_ZERO), NUM_CDF_POINTS, axis=-1)
    more = (LARGEST_NUMBER - POINTS[-1]) / (POINTS[1] - POINTS[0])
    first = laws[..., :1] - more * (laws[..., 1:2] - laws[..., :1])
    last = laws[..., -1:] + more * (laws[..., -1:] - laws[..., -2:-1])
    at = torch.from_numpy(_crossings(np.concatenate([first, laws, last], axis=-1), grid[..., None, :]))
    below, above = (shares @ torch.special.ndtr(side).numpy() for side in (at, -at))
    tails = torch.from_numpy(np.minimum(below, above).clip(1e-300, 0.5))
    numbers = torch.special.ndtri(tails).numpy() * np.where(below < above, 1, -1)
    rows = zip(numbers.reshape(-1, NUM_CDF_POINTS), grid.reshape(-1, NUM_CDF_POINTS), strict=True)
    found = np.array([np.interp(_CELLS, *row) for row in rows])
    return found.reshape(*grid.shape[:-1], len(POINTS), -1).mean(axis=-1)


def _crossings(laws: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The normal numbers, up to `LARGEST_NUMBER`, at which laws have the values of a grid."""
    reach = np.array([-LARGEST_NUMBER, *POINTS, LARGEST_NUMBER])
    wanted = np.broadcast_to(grid, (*laws.shape[:-1], NUM_CDF_POINTS)).reshape(-1, NUM_CDF_POINTS)
    rows = zip(wanted, laws.reshape(-1, len(reach)), strict=True)
    found = [np.interp(values, law, reach) for values, law in rows]
    return np.array(found).reshape(*laws.shape[:-1], NUM_CDF_POINTS)


@lru_cache(maxsize=4096)
def _moments_of_log_mean(law: bytes, correlation: float, count: int, present: float) -> tuple[float, float]:
    """Mean and variance of ln S, S = Σ e^f(uᵢ)/n over n normal numbers, each two of one correlation.

    Of these, some are left out by chance, but never all.

    By the method of Fenton and Wilkinson up to `FENTON_VARIANCE`; above it, by the Laplace transform of S: given what
    all share, the e^f are independent, and E e^(-tS) is a power of one integral. As of an exponential number
    T, P(T/S > t) = E e^(-tS): this gives the law of ln T - ln S, and ln T has the mean -γ and the variance π²/6.
    """
    values = np.frombuffer(law)
    common = covariance(values, correlation)
    own = max(0.0, variance(values) - common)
    mean = float(MASSES @ values)
    if own < FENTON_VARIANCE and present == 1:
        rest = log1p(expm1(own) / count)
        return mean + (own - rest) / 2, common + rest
    at = sqrt(correlation) * _COMMON[:, None] + sqrt(1 - correlation) * POINTS
    logs = np.interp(at, POINTS, values)
    most = float(values.max())
    grid = np.linspace(-most - 16, -float(values.min()) + 5, 2 * NUM_CDF_POINTS)
    times = np.exp(np.minimum(grid + most, LARGEST_EXPONENT))
    each = 1 - present * (1 - np.exp(-times[:, None] * np.exp(logs - most)[:, None, :]) @ MASSES)
    chance = -np.diff(each**count, axis=1) / (1 - (1 - present) ** count)
    middle = (grid[1:] + grid[:-1]) / 2
    first, second = chance @ middle, chance @ middle**2
    means, rests = -EULER_GAMMA - first - log(count), np.maximum(0.0, second - first**2 - pi**2 / 6)
    shares = _COMMON_MASSES / _COMMON_MASSES.sum()
    mean = float(shares @ means)
    return mean, float(shares @ (means - mean) ** 2 + shares @ rests)


def biased(logs: np.ndarray, share: float) -> np.ndarray:
    """ln of energies, of whose mean a share is theirs and the rest a bias's. However small they are, it is finite."""
    return logs if share == 1 else np.log(share * np.exp(logs) + (1 - share))


@dataclass(frozen=True, slots=True)
class Scatter:
    """ln of the energies of the examples of a batch, over draws of the weights."""

    logs: np.ndarray
    """ln of an example's energy, less that of E x², as a function of a normal number, at `POINTS`."""
    correlation: float
    """Correlation of the normal numbers of two examples."""
    noise: float = 0.0
    """Variance of ln of an example's energy on top, from the number of units here; weights pass it on."""
    shared: float = 0.0
    """The part of that which two examples share."""
    transitions: np.ndarray | None = None
    """The normal numbers here of an example that had each of `POINTS` before the weights: a column for each draw of
    noise."""
    present: float = 1.0
    """The share of examples that are not 0 by chance; `logs` and all else are of those."""
    lacking: bool = False
    """Whether examples differ because some lack a part of what others have."""

    @classmethod
    def normal(cls, total: float, shared: float, shift: float = 0.0) -> Scatter:
        """Lognormal energies, with a part of the variance of ln that two examples share."""
        return cls(shift - total / 2 + sqrt(total) * POINTS, shared / total if total else 0.0)

    def log_of_mean(self, count: int) -> tuple[float, float]:
        """Mean and variance of ln of the mean energy of some examples, less ln E x²."""
        return _moments_of_log_mean(self.logs.tobytes(), self.correlation, count, self.present)

    def drift_of_mean(self, count: int, noise: float) -> tuple[float, float]:
        """Variance of ln of the mean energy of some examples, and how much its mean is above that of a lognormal law.

        Args:
            count: How many examples.
            noise: The part of the variance that comes from the number of elements, and is counted apart.
        """
        drift, lift = lognormal(self.log_of_mean(count))
        return drift + max(0.0, self.noise_of_mean(count) - noise), lift

    def noise_of_mean(self, count: int) -> float:
        """What noise adds to the variance of ln of the mean energy of some examples."""
        return self.shared + (self.noise - self.shared) / count

    def weighted(self, share: float) -> Scatter:
        """What weights make of it: noise becomes part of the energy.

        Args:
            share: The part of the energy that is not of a bias.
        """
        noise = share**2 * self.noise
        arriving = biased(self.logs, share) - noise / 2
        draws = arriving[:, None] + sqrt(noise) * _DRAWS
        before = variance(arriving)
        present = self.present
        if present < 1 and share < 1:  # a bias is all that the others have
            lacking = np.full((1, len(POINTS)), log(1 - share))
            logs = mixture(np.concatenate([draws.T, lacking]), np.append(present * _LIKELY, 1 - present))
            arriving, present = present * arriving, 1.0
        elif before <= noise:
            logs = float(MASSES @ arriving) + sqrt(before + noise) * POINTS
        else:
            logs = mixture(draws.T, _LIKELY)
        correlation = correlation_of(logs, covariance(arriving, self.correlation) + share**2 * self.shared)
        return Scatter(logs, correlation, transitions=np.interp(draws, logs, POINTS), present=present)

    def thinned(self, share: float) -> Scatter:
        """What is left where each example is kept with a probability, and divided by that."""
        return replace(self, logs=self.logs - log(share), present=share * self.present, transitions=None, lacking=True)


@dataclass(frozen=True, slots=True)
class Slopes:
    """What slopes make of gradients, at the `POINTS` of the signal."""

    logs: np.ndarray
    """ln of E φ′², less that at the expected energy."""
    factor: np.ndarray
    """On `GradientScatter.radial`: p²·E φ²/(q·E φ′²), p = d ln E φ²/d ln q."""
    turned: np.ndarray
    """What is added to it, as a larger signal is another one after them: (E z²φ′²/E φ² - p²)·E φ²/(q·E φ′²)."""
    uneven: float
    """E φ′⁴/(E φ′²)²: what they make of that of the elements of a gradient."""


@dataclass(frozen=True, slots=True)
class GradientScatter:
    """ln of the energies of the gradients of examples, given each example's signal at the same place."""

    logs: np.ndarray
    """A row for each of the `POINTS` of the signal; ln less that of E g², as a function of a second normal number."""
    shared: float
    """Covariance of ln of two examples beyond what their signals explain."""
    radial: np.ndarray
    """n·(Σ x g)²/(Σ x²·Σ g²), a mean for each of the `POINTS`: 1 for gradients of any direction, and more where the
    loss changes most with the size of the signal."""
    noise: float = 0.0
    """Variance of ln of the energy of an example on top, from the number of units here."""
    shared_noise: float = 0.0
    """The part of that which two examples share."""
    present: float = 1.0
    """The share of examples whose gradient is not 0 by chance; all else is of those."""

    @classmethod
    def normal(cls, own: float, shared: float, shift: float = 0.0) -> GradientScatter:
        """Lognormal energies that do not depend on the signal."""
        own = max(own, ABOVE_ZERO)
        row = shift - (own + shared) / 2 + sqrt(own) * POINTS
        return cls(np.tile(row, (len(POINTS), 1)), shared, np.ones(len(POINTS)))

    def log_of_mean(self, signal: Scatter, count: int) -> tuple[float, float]:
        """Mean and variance of ln of the mean energy of some examples, less ln E g²."""
        values = mixture(self.logs, MASSES)
        wanted = covariance(self.logs @ MASSES, signal.correlation) + self.shared
        return _moments_of_log_mean(values.tobytes(), correlation_of(values, wanted), count, self.present)

    def through(self, slopes: Slopes, units: int) -> GradientScatter:
        """After slopes; what two examples share of the noise is left to say."""
        radial = slopes.factor * self.radial + slopes.turned
        noise = thinned(self.noise, slopes.uneven, units)
        return GradientScatter(self.logs + slopes.logs[:, None], self.shared, radial, noise, present=self.present)

    @property
    def mean(self) -> float:
        """The mean energy, in units of E g²."""
        return self.present * float(MASSES @ np.exp(self.logs) @ MASSES)

    def flat(self) -> GradientScatter:
        """The same whatever the signal is."""
        return replace(self, logs=np.tile(mixture(self.logs, MASSES), (len(POINTS), 1)), radial=np.ones(len(POINTS)))

    def shifted(self, logs: np.ndarray | float) -> GradientScatter:
        """What factors make of it, ln of each, one for each of the `POINTS` of the signal or one for all."""
        return replace(self, logs=self.logs + np.reshape(logs, (-1, 1)))

    def thinned(self, share: float) -> GradientScatter:
        """What is left where each example is kept with a probability, and divided by that; in units of its mean."""
        return replace(self.shifted(-log(share * self.mean)), present=share * self.present)

    def unweighted(self, before: Scatter, after: Scatter, share: float, units: int) -> GradientScatter:
        """Before weights, which made several signals of each one.

        Given what they made of its signal, the weights send the gradient in any direction, except for the one of the
        signal: there, Σ x g is what it was. E g² ← E g²·(1 + (r - 1)/n) for r = `radial`.

        Args:
            before: The signal that the weights read.
            after: What they made.
            share: The part of its energy that is not of a bias.
            units: n.
        """
        assert after.transitions is not None, "weights made it"
        means = self.logs @ MASSES
        widths = np.sqrt(((self.logs - means[:, None]) ** 2) @ MASSES + self.noise)
        old = np.maximum(np.sqrt(np.maximum(widths**2 - self.noise, 0.0)), ABOVE_ZERO)
        wider = (means - self.noise / 2)[:, None] + (self.logs - means[:, None]) * (widths / old)[:, None]
        columns = np.stack([np.interp(after.transitions, POINTS, column) for column in wider.T], axis=-1)
        logs = mixture(columns, _LIKELY)
        explained = covariance(logs @ MASSES, before.correlation)
        rest = max(0.0, covariance(wider @ MASSES, after.correlation) - explained)
        kept = share * np.exp(before.logs - biased(before.logs, share))
        radial = np.interp(after.transitions, POINTS, self.radial) @ _LIKELY * kept
        more = np.maximum(ABOVE_ZERO, 1 + (radial[:, None] * _DRAWS**2 - 1) / units)
        logs = logs + (np.log(more) @ _LIKELY)[:, None]
        radial = radial / (1 + (radial - 1) / units)
        return GradientScatter(logs, self.shared + self.shared_noise + rest, radial, present=self.present)


def thinned(noise: float, uneven: float, units: int) -> float:
    """The noise of so many units whose elements got factors by chance: E x⁴/(E x²)² = n·noise + 1 grows by theirs."""
    return (noise + 1 / units) * uneven - 1 / units


def shared_part(total: float, batch: float, count: float) -> float:
    """What two examples share of a variance `total` of ln E, where that of the mean over a batch is `batch`."""
    if count <= 1:
        return 0.0
    return min(total, max(0.0, (count * batch - total) / (count - 1)))


def lognormal(log_of_mean: tuple[float, float]) -> tuple[float, float]:
    """Variance of ln, and by how much its mean is above that of a lognormal law."""
    mean, spread = log_of_mean
    return spread, mean + spread / 2
