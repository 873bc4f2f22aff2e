"""What an initializer is: one frozen class whose fields are its config and whose one method fills a block.

`Elementwise` schemes give a `Law` (independent, identically distributed values); `Blockwise` schemes fill a whole
matrix at once; `Undrawn` schemes leave the values to others. `resolve` turns each into a `Fill`: every number decided,
nothing drawn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, final

from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator

from modelforge.inits.block import Block
from modelforge.inits.fills import BlockFill, LawFill, Moments, NoFill
from modelforge.inits.messages import WrongField, contradiction, reworded
from modelforge.node import FrozenDict, Node

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from modelforge.inits.laws import Law
    from modelforge.inits.seen import Seen
    from modelforge.rng import Key


DrawsPer = Literal["block", "parameter", "attention"]


NOTHING_TO_COUNT = "MF095"
"""The code of a scheme for networks of another kind: one that counts branches where there are none."""


class CannotServe(Exception):
    """A scheme cannot fill this block: `reason` states the fact, `hint` the way out, `code` of what kind it is."""

    def __init__(self, reason: str, hint: str = "", code: str = "MF026") -> None:
        super().__init__(reason, hint, code)
        self.reason = reason
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return self.reason


class Fill(Protocol):
    """A decided way to fill one block: what must come out, and how to draw it.

    `promise` is what the ledger checks; `mean`, `std` and the rest are its parts, None where a scheme promises nothing.
    `numbers` holds what was resolved on the way (gain, fans, bounds) as plain data. `elementwise` fills may be drawn in
    chunks of any size, the others need their whole block in one contiguous tensor. A fill can be pickled and copied.
    """

    @property
    def promise(self) -> Moments: ...
    @property
    def mean(self) -> float | None: ...
    @property
    def std(self) -> float | None: ...
    @property
    def kurtosis(self) -> float: ...
    @property
    def exact_std(self) -> bool:
        """True where the root mean square about `mean` is fixed by construction, not up to sampling."""
        ...

    @property
    def copies(self) -> float:
        """How many elements share one drawn value: the sample that the checks rest on is that much smaller."""
        ...

    @property
    def deterministic(self) -> bool:
        """True where nothing is drawn: every key gives the same values."""
        ...

    @property
    def numbers(self) -> Mapping[str, Any]: ...
    @property
    def elementwise(self) -> bool: ...
    def strays(self, values: Tensor) -> int:
        """How many of the values contradict what the scheme fixes of them, exactly; of what is drawn none does."""
        ...

    def draw_(self, out: Tensor, key: Key) -> Seen | None:
        """Fills `out` (contiguous; float64 for a parameter that is, else float32) in place with what `key` decides.

        Returns:
            What was seen of `out` on the way, about `mean` and in units of `std`; or None, and it is read again.
        """
        ...


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
            CannotServe: the scheme has no meaning for a block of this shape.
        """

    def numbers(self, block: Block) -> dict[str, Any]:
        """What the ledger shows as plain data: the fields, unless a scheme resolves more."""
        del block
        return self.model_dump()

    def conflicts(self) -> Iterable[WrongField]:
        """Fields that are fine one by one, and not together; none, unless a scheme has such."""
        return ()

    @model_validator(mode="wrap")
    @classmethod
    def _validate(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            made = handler(data)
        except ValidationError as error:
            raise reworded(error, cls) from None
        if wrong := tuple(made.conflicts()):
            raise contradiction(cls, wrong, data)
        return made


class Elementwise(Initializer):
    """A scheme whose values are independent and follow one law."""

    @abstractmethod
    def law(self, block: Block) -> Law:
        """The law of the values of one block.

        Raises:
            CannotServe: the scheme has no meaning for a block of this shape.
        """

    @final
    def resolve(self, block: Block) -> Fill:
        """The law, its moments as targets, and its bounds beside the scheme's own numbers."""
        law = self.law(block)
        numbers = self.numbers(block)
        if law.bounds is not None:
            numbers |= {"low": law.bounds[0], "high": law.bounds[1]}
        return LawFill(law, FrozenDict(numbers))


class Blockwise(Initializer):
    """A scheme that fills a whole block at once; `fill` is all that one must write."""

    @abstractmethod
    def fill(self, out: Tensor, block: Block, generator: torch.Generator) -> None:
        """Fills `out` in place, drawing from `generator` only. It is contiguous and of `block.shape`; of float64 for a
        parameter that is, else of float32."""

    def moments(self, block: Block) -> Moments:
        """What the values promise; nothing, unless a scheme knows.

        Raises:
            CannotServe: the scheme has no meaning for a block of this shape.
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
        return BlockFill(self, block, self.moments(block), FrozenDict(self.numbers(block)))


class Undrawn(Initializer):
    """A scheme that draws nothing; leaf classes say in `values_from` who makes the values."""

    @final
    def resolve(self, block: Block) -> Fill:
        """A fill that promises nothing and is never drawn."""
        del block
        return NoFill()
