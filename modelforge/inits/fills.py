"""The fills that schemes resolve to: from a law, from a blockwise scheme, or none at all; and what they promise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from modelforge.inits.laws import Drawn
from modelforge.node import FrozenDict
from modelforge.settings import one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from modelforge.inits.base import Blockwise
    from modelforge.inits.block import Block
    from modelforge.inits.laws import Distribution, Law
    from modelforge.inits.seen import Seen
    from modelforge.rng import Key


@dataclass(frozen=True, slots=True)
class Isometry:
    """A matrix Q with QQᵀ or QᵀQ = factor²·I, whichever is smaller: the first rows and columns of a block, outputs
    first."""

    factor: float
    rows: int
    columns: int
    summed: bool = False
    """Whether taps are added up, and so with signs in turn (a filter at frequencies 0 and π); else they are columns of
    their own."""

    @classmethod
    def of(
        cls, block: Block, factor: float, *, parts: tuple[int, int] = (1, 1), summed: bool = False
    ) -> Isometry | None:
        """Of a block, or of its first part where outputs and inputs fall into so many; None where all is zero."""
        outputs, inputs = block.shape[:2][:: -1 if block.input_first else 1]
        return cls(abs(factor), outputs // parts[0], inputs // parts[1], summed) if factor else None


MAX_SLANT = 1e-4
"""How far a matrix in single precision may be from an isometry."""


def slant(matrix: Tensor, factor: float = 1.0) -> float:
    """|QQᵀv / factor² - v| for a unit vector v: 0 where the rows of Q are orthogonal and `factor` long."""
    probe = torch.empty(len(matrix), dtype=matrix.dtype, device="cpu")
    probe.normal_(generator=torch.Generator().manual_seed(0))
    probe /= probe.norm()
    image = matrix @ (matrix.T @ (probe / factor)) / factor
    return float((image - probe).norm())


@dataclass(frozen=True, slots=True)
class Moments:
    """What a scheme promises of its values; the ledger checks all of it."""

    mean: float | None = None
    std: float | None = None
    """Root mean square about `mean`."""
    kurtosis: float = 3.0
    """The fourth standardised moment, 3 for a normal law: how far the measured `std` may lie off goes by it."""
    exact_std: bool = False
    """True where `std` is fixed by construction, not up to sampling."""
    copies: float = 1.0
    """How many elements share one drawn value."""
    deterministic: bool = False
    """True where nothing is drawn: every key gives the same values."""
    law: Distribution | None = None
    """What the values follow, one by one, if they do: bounds, extremes, all moments and the norms of rows go by it."""
    isometry: Isometry | None = None
    """The matrix that is orthogonal, if one is."""
    distinct_rows: bool = False
    """Whether no row is like another, up to chance."""


class _Promised:
    """The parts of a fill's promise, one by one."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def promise(self) -> Moments: ...

    @property
    def mean(self) -> float | None:
        return self.promise.mean

    @property
    def std(self) -> float | None:
        return self.promise.std

    @property
    def kurtosis(self) -> float:
        return self.promise.kurtosis

    @property
    def exact_std(self) -> bool:
        return self.promise.exact_std

    @property
    def copies(self) -> float:
        return self.promise.copies

    @property
    def deterministic(self) -> bool:
        return self.promise.deterministic


@dataclass(frozen=True, slots=True)
class LawFill(_Promised):
    """Independent values of one law."""

    law: Law
    numbers: FrozenDict[str, Any]

    @property
    def promise(self) -> Moments:
        """All that follows from the law."""
        return promise_of(self.law)

    @property
    def elementwise(self) -> bool:
        return True

    def strays(self, values: Tensor) -> int:
        """None: a law fixes no value; what a constant makes is checked by its extremes."""
        del values
        return 0

    def draw_(self, out: Tensor, key: Key) -> Seen | None:
        """Fills `out` in place; element i does not depend on how many follow it."""
        return self.law.draw_(out, key)


@lru_cache(maxsize=1024)
def promise_of(law: Law) -> Moments:
    """What independent values of a law promise."""
    if law.std == 0:
        return Moments(law.mean, 0.0, law.kurtosis, exact_std=True, deterministic=True)
    return Moments(law.mean, law.std, law.kurtosis, law=law, distinct_rows=isinstance(law, Drawn))


@dataclass(frozen=True, slots=True)
class BlockFill(_Promised):
    """A whole block, made by the scheme's own `fill`."""

    initializer: Blockwise
    block: Block
    moments: Moments
    numbers: FrozenDict[str, Any]

    @property
    def promise(self) -> Moments:
        """As the scheme states it."""
        return self.moments

    @property
    def elementwise(self) -> bool:
        return False

    def strays(self, values: Tensor) -> int:
        """As the scheme counts them."""
        return self.initializer.strays(values, self.block)

    def draw_(self, out: Tensor, key: Key) -> None:
        """Fills `out`, which must be the whole block."""
        assert out.shape == self.block.shape, f"the block has shape {self.block.shape}, not {tuple(out.shape)}"
        assert out.is_contiguous(), "a block is filled in contiguous memory"
        with one_thread():
            self.initializer.fill(out.detach(), self.block, key.generator())


NOTHING = Moments()
"""The promise of what is not drawn."""


@dataclass(frozen=True, slots=True)
class NoFill(_Promised):
    """Promises nothing and draws nothing: the values come from elsewhere."""

    @property
    def promise(self) -> Moments:
        """Nothing."""
        return NOTHING

    @property
    def numbers(self) -> FrozenDict[str, Any]:
        return FrozenDict()

    @property
    def elementwise(self) -> bool:
        return False

    def strays(self, values: Tensor) -> int:
        """None: it says nothing of them."""
        del values
        return 0

    def draw_(self, out: Tensor, key: Key) -> None:
        """Never called: see `Initializer.values_from`."""
        raise AssertionError("the values of this scheme are not drawn")
