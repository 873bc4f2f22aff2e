"""What an initializer is: one frozen class whose fields are its config and whose one method fills a block.

`Elementwise` schemes give a `Law` (independent, identically distributed values); `Blockwise` schemes fill a whole
matrix at once; `Undrawn` schemes leave the values to others. `resolve` turns each into a `Fill`: every number decided,
nothing drawn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, final

from pydantic import model_validator

from modelforge.core.complaints import WrongField, all_wrong, wrong
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.matrix import Block
from modelforge.inits.fills import Fill, Moments, Whole, promise_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from modelforge.inits.laws.law import Law


DrawsPer = Literal["block", "parameter", "attention"]


NOTHING_TO_COUNT = "MF095"
"""The code of a scheme for networks of another kind: one that counts branches where there are none."""


class Initializer(Node, ABC):
    """Base of every scheme; leaf classes are final and registered with `register_initializer`."""

    scheme: ClassVar[str] = ""
    """The registry name, set by `register_initializer`."""
    values_from: ClassVar[Literal["draw", "module", "existing", "file"]] = "draw"
    """Who makes the values: `Fill.draw_`, the module's own `reset_parameters`, whoever filled them, or a file."""
    draws_per: ClassVar[DrawsPer] = "block"
    """What has a generator of its own. Blocks with equal generators can mirror what another draws: those of one
    parameter, or those of one attention, which may be several parameters."""

    @abstractmethod
    def resolve(self, block: Block) -> Fill:
        """All numbers for one block.

        Raises:
            Refusal: the scheme has no meaning for a block of this shape.
        """

    def numbers(self, block: Block) -> dict[str, Any]:
        """What the ledger shows as plain data: the fields, unless a scheme resolves more."""
        del block
        return self.model_dump()

    def conflicts(self) -> Iterable[WrongField]:
        """Fields that are fine one by one, and not together; none, unless a scheme has such."""
        return ()

    @model_validator(mode="after")
    def _check_conflicts(self) -> Self:
        if found := tuple(self.conflicts()):
            raise all_wrong(((item.field,), wrong(item.code, item.message, item.hint)) for item in found)
        return self


class Elementwise(Initializer):
    """A scheme whose values are independent and follow one law."""

    @abstractmethod
    def law(self, block: Block) -> Law:
        """The law of the values of one block.

        Raises:
            Refusal: the scheme has no meaning for a block of this shape.
        """

    @final
    def resolve(self, block: Block) -> Fill:
        """The law, its moments as targets, and its bounds beside the scheme's own numbers."""
        law = self.law(block)
        numbers = self.numbers(block)
        if law.bounds is not None:
            numbers |= {"low": law.bounds[0], "high": law.bounds[1]}
        return Fill(promise_of(law), FrozenDict(numbers), law)


class Blockwise(Initializer):
    """A scheme that fills a whole block at once; `fill` is all that one must write."""

    @abstractmethod
    def fill(self, out: Tensor, block: Block, generator: torch.Generator) -> None:
        """Fills `out` in place, drawing from `generator` only. It is contiguous and of `block.shape`; of float64 for a
        parameter that is, else of float32."""

    def moments(self, block: Block) -> Moments:
        """What the values promise; nothing, unless a scheme knows.

        Raises:
            Refusal: the scheme has no meaning for a block of this shape.
        """
        del block
        return Moments()

    def strays(self, values: Tensor, block: Block) -> int:
        """How many values contradict what the formula fixes: zeros, copies, mirrors, all of them where nothing is
        drawn. The ledger asks this of what `fill` made, so it must not ask `fill`; 0, unless a scheme knows more."""
        del values, block
        return 0

    @final
    def resolve(self, block: Block) -> Fill:
        """The promised moments and the scheme's numbers; the values are made by `fill`."""
        return Fill(self.moments(block), FrozenDict(self.numbers(block)), Whole(self, block))


class Undrawn(Initializer):
    """A scheme that draws nothing; leaf classes say in `values_from` who makes the values."""

    @final
    def resolve(self, block: Block) -> Fill:
        """A fill that promises nothing and is never drawn."""
        del block
        return Fill()
