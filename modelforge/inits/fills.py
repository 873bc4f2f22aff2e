"""The fills that schemes resolve to: from a law, from a blockwise scheme, or none at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelforge.node import FrozenDict
from modelforge.settings import one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from modelforge.inits.base import Blockwise, Moments
    from modelforge.inits.block import Block
    from modelforge.inits.laws import Law
    from modelforge.rng import Key


@dataclass(frozen=True, slots=True)
class LawFill:
    """Independent values of one law."""

    law: Law
    numbers: FrozenDict[str, Any]

    @property
    def mean(self) -> float:
        return self.law.mean

    @property
    def std(self) -> float:
        return self.law.std

    @property
    def kurtosis(self) -> float:
        return self.law.kurtosis

    @property
    def exact_std(self) -> bool:
        return self.law.std == 0

    @property
    def copies(self) -> float:
        return 1.0

    @property
    def deterministic(self) -> bool:
        return self.law.std == 0

    @property
    def elementwise(self) -> bool:
        return True

    def draw_(self, out: Tensor, key: Key) -> None:
        """Fills `out` in place; element i does not depend on how many follow it."""
        self.law.draw_(out, key)


@dataclass(frozen=True, slots=True)
class BlockFill:
    """A whole block, made by the scheme's own `fill`."""

    initializer: Blockwise
    block: Block
    moments: Moments
    numbers: FrozenDict[str, Any]

    @property
    def mean(self) -> float | None:
        return self.moments.mean

    @property
    def std(self) -> float | None:
        return self.moments.std

    @property
    def kurtosis(self) -> float:
        return self.moments.kurtosis

    @property
    def exact_std(self) -> bool:
        return self.moments.exact_std

    @property
    def copies(self) -> float:
        return self.moments.copies

    @property
    def deterministic(self) -> bool:
        return self.moments.deterministic

    @property
    def elementwise(self) -> bool:
        return False

    def draw_(self, out: Tensor, key: Key) -> None:
        """Fills `out`, which must be the whole block."""
        assert out.shape == self.block.shape, f"the block has shape {self.block.shape}, not {tuple(out.shape)}"
        assert out.is_contiguous(), "a block is filled in contiguous memory"
        with one_thread():
            self.initializer.fill(out.detach(), self.block, key.generator())


@dataclass(frozen=True, slots=True)
class NoFill:
    """Promises nothing and draws nothing: the values come from elsewhere."""

    @property
    def mean(self) -> None:
        return None

    @property
    def std(self) -> None:
        return None

    @property
    def kurtosis(self) -> float:
        return 3.0

    @property
    def exact_std(self) -> bool:
        return False

    @property
    def copies(self) -> float:
        return 1.0

    @property
    def deterministic(self) -> bool:
        return True

    @property
    def numbers(self) -> FrozenDict[str, Any]:
        return FrozenDict()

    @property
    def elementwise(self) -> bool:
        return False

    def draw_(self, out: Tensor, key: Key) -> None:
        """Never called: see `Initializer.values_from`."""
        raise AssertionError("the values of this scheme are not drawn")
