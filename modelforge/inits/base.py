"""What an initializer is: one frozen class whose fields are its config, and whose decision fills a matrix.

`resolve` gives that decision, a `Fill`: every number decided, nothing drawn. `Elementwise` schemes give a `Law`
(independent, identically distributed values), `Matrixwise` schemes a method that fills a whole matrix, and `Undrawn`
schemes leave the values to others; what decides more than that (a gain, a shape) has a `resolve` of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, final

from pydantic import model_validator

from modelforge.core.complaints import WrongField, all_wrong, wrong
from modelforge.core.errors import Refusal
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.matrix import Matrix
from modelforge.core.quoting import sentence, shortened
from modelforge.core.words import a_class
from modelforge.inits.fills import Fill, Moments, Whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from modelforge.inits.laws.law import Law


DrawsPer = Literal["matrix", "parameter", "attention"]
Source = Literal["draw", "module", "existing", "file"]


NOTHING_TO_COUNT = "MF095"
"""The code of a scheme for another kind of network: it counts branches, and there are none."""


class Initializer(Node, ABC):
    """Base of every scheme; leaf classes are final and registered with `register_initializer`."""

    scheme: ClassVar[str] = ""
    """The registry name, set by `register_initializer`."""
    values_from: ClassVar[Source] = "draw"
    """What makes the values: `Fill.draw_`, the module's own `reset_parameters`, what filled it before, or a file."""
    draws_per: ClassVar[DrawsPer] = "matrix"
    """What has a generator of its own. Matrices with equal generators can mirror what another draws: those of one
    parameter, or those of one attention, which may be several parameters."""

    @abstractmethod
    def resolve(self, matrix: Matrix) -> Fill:
        """All numbers for one matrix.

        Raises:
            Refusal: the scheme has no meaning for a matrix of this shape.
        """

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        """What the ledger shows as plain data: the fields, unless a scheme resolves more."""
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
    def law(self, matrix: Matrix) -> Law:
        """The law of the values of one matrix.

        Raises:
            Refusal: the scheme has no meaning for a matrix of this shape.
        """

    @final
    def resolve(self, matrix: Matrix) -> Fill:
        """The law, its moments as targets, and its bounds beside the scheme's own numbers."""
        law = self.law(matrix)
        promise, numbers = Moments.of(law), self.numbers(matrix)
        if law.bounds is not None:
            numbers |= {"low": law.bounds[0], "high": law.bounds[1]}
        return Fill(promise, FrozenDict(numbers), law)


class Matrixwise(Initializer):
    """A scheme that fills a whole matrix at once; `fill` is all that one must write."""

    @abstractmethod
    def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
        """Fills `out` in place, drawing from `generator` only. It is contiguous and of `matrix.shape`; of float64 for a
        parameter that is, else of float32."""

    def moments(self, matrix: Matrix) -> Moments:
        """What the values promise; nothing, unless a scheme knows.

        Raises:
            Refusal: the scheme has no meaning for a matrix of this shape.
        """
        return Moments()

    def strays(self, values: Tensor, matrix: Matrix) -> int:
        """See `Whole.strays`."""
        return 0

    @final
    def resolve(self, matrix: Matrix) -> Fill:
        """The promised moments and the scheme's numbers; the values are made by `fill`."""
        promise = self.moments(matrix)
        if not isinstance(promise, Moments):  # pyright: ignore[reportUnnecessaryIsInstance]  # it need not be typed
            raise Refusal(f"its `moments` gives {shortened(repr(promise))}", "it must return `Moments(mean, std)`")
        return Fill(promise, FrozenDict(self.numbers(matrix)), _ByScheme(matrix, self))


@dataclass(frozen=True, slots=True)
class _ByScheme(Whole):
    """Draws by the method of a scheme, which reads its fields and the matrix."""

    scheme: Matrixwise

    def fill(self, out: Tensor, generator: torch.Generator) -> None:
        hint = f"`fill` must write all of `out`, of shape {self.matrix.shape} and {out.dtype}, in place"
        try:
            made: object = self.scheme.fill(out, self.matrix, generator)
        # What a wrong shape or type raises; a scheme's other errors keep their traceback.
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise Refusal(f"its `fill` fails with {type(error).__name__}: {sentence(error)}", hint) from error
        if made is not None and made is not out:
            raise Refusal(f"its `fill` returns {a_class(made)}", f"{hint}, and return nothing")

    def strays(self, values: Tensor) -> int:
        return self.scheme.strays(values, self.matrix)


class Undrawn(Initializer):
    """A scheme that draws nothing; leaf classes say in `values_from` what makes the values."""

    @final
    def resolve(self, matrix: Matrix) -> Fill:
        """A fill that promises nothing and is never drawn."""
        return Fill()
