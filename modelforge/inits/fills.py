"""`Fill`: what a scheme decides for one matrix: what is promised of the values, and what draws them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from modelforge.core.errors import Refusal
from modelforge.core.frozen import FrozenDict
from modelforge.core.torch_state import one_thread
from modelforge.inits.laws.law import Constant, Drawn
from modelforge.inits.laws.tails import misfit

if TYPE_CHECKING:
    from torch import Tensor

    from modelforge.core.matrix import Matrix
    from modelforge.core.rng import Key
    from modelforge.inits.laws.law import Distribution, Law
    from modelforge.inits.laws.seen import Seen


@dataclass(frozen=True, slots=True)
class Isometry:
    """A matrix Q with QQᵀ or QᵀQ = factor²·I, whichever is smaller: the first rows and columns of what is filled,
    outputs first."""

    factor: float
    rows: int
    columns: int
    summed: bool = False
    """Whether taps are added up, and so with signs in turn (a filter at frequencies 0 and π); else they are columns of
    their own."""


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

    @classmethod
    def of(cls, law: Law) -> Moments:
        """What independent values of a law promise.

        Raises:
            Refusal: it is not a law, or its `cdf` has other moments than it states.
        """
        if type(law).__hash__ is None:
            reason = f"its law, of class {type(law).__name__}, cannot be hashed"
            raise Refusal(reason, "make the class a `@dataclass(frozen=True)`")
        return _moments_of(law)


@lru_cache(maxsize=1024)
def _moments_of(law: Law) -> Moments:
    if not isinstance(law, Drawn | Constant) and (wrong := misfit(law)):
        hint = (
            "`law` returns `Normal(mean, std)`, or a class with `mean`, `std`, `kurtosis`, `bounds`, `cdf` and `draw_`"
        )
        raise Refusal(wrong, hint)
    if law.std == 0:
        return CONSTANT if law.mean == 0 else replace(CONSTANT, mean=law.mean)
    return Moments(law.mean, law.std, law.kurtosis, law=law, distinct_rows=isinstance(law, Drawn))


CONSTANT = Moments(0.0, 0.0, kurtosis=1.0, exact_std=True, deterministic=True)
"""The promise of zeros, and of what has no elements."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """Values of one tensor in a file, or of some of its rows."""

    file: str
    tensor: str
    shape: tuple[int, ...]
    """The tensor's, as it is there."""
    dtype: str
    """The type that it has there."""
    transpose: bool = False
    """Whether it is transposed."""
    squeeze: bool = False
    """Whether the first dimension, of size 1, is left out."""
    rows: tuple[int, int] | None = None
    """First and last but one of the rows that are meant, after transposing; None for all."""
    twins: tuple[FilePart, ...] = ()
    """What the file has for other names of the same parameter: it must be equal."""

    @property
    def numbers(self) -> FrozenDict[str, Any]:
        """Where the values are, as plain data."""
        numbers: dict[str, Any] = {"file": self.file, "tensor": self.tensor, "file_dtype": self.dtype}
        if self.transpose:
            numbers["transposed"] = True
        if self.rows is not None:
            numbers["rows"] = self.rows
        return FrozenDict(numbers)

    @property
    def part_shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        shape = self.shape[self.squeeze :]
        shape = shape[::-1] if self.transpose else shape
        return shape if self.rows is None else (self.rows[1] - self.rows[0], *shape[1:])

    def part(self, tensor: Tensor) -> Tensor:
        """The values, of the tensor in the file."""
        whole = tensor[0] if self.squeeze else tensor
        whole = whole.t() if self.transpose else whole
        return whole if self.rows is None else whole[slice(*self.rows)]


@dataclass(frozen=True, slots=True)
class Whole(ABC):
    """Draws a whole matrix at once; leaf classes hold every number that this takes."""

    writes_all: ClassVar[bool] = False
    """Whether `fill` writes every element for certain, so that none needs a mark before."""

    matrix: Matrix
    """What is filled."""

    def of_rows(self, first: int, last: int) -> Whole | None:
        """What fills these rows alone, as in the whole; None where rows depend on others, or on a generator."""
        return None

    @abstractmethod
    def fill(self, out: Tensor, generator: torch.Generator) -> None:
        """Fills `out`, which is the whole matrix, contiguous and not empty, in place; float32 or float64."""

    def strays(self, values: Tensor) -> int:
        """How many values contradict what the formula fixes: zeros, copies, mirrors, all of them where nothing is
        drawn. The ledger asks this of what `fill` made, so it must not ask `fill`; 0, unless a scheme knows more."""
        return 0

    def seen(self, out: Tensor, mean: float | None, std: float | None) -> Seen | None:
        """What there is to see of `out`, which `fill` made and `strays` reads; None where it must be read again."""
        return None

    def draw_(self, out: Tensor, key: Key) -> None:
        """Fills `out` in place with what `key` decides; what is left out becomes NaN."""
        assert out.shape == self.matrix.shape, f"the matrix has shape {self.matrix.shape}, not {tuple(out.shape)}"
        assert out.is_contiguous(), "a matrix is filled in contiguous memory"
        if out.numel():
            with one_thread():
                # An element that a scheme forgets to write must not pass for a value.
                self.fill(out.detach() if self.writes_all else out.detach().fill_(torch.nan), key.generator())


@dataclass(frozen=True, slots=True)
class Fill:
    """A decided way to fill one matrix: what must come out, and what draws it. It can be pickled and copied."""

    promise: Moments = Moments()
    """What the ledger checks."""
    numbers: FrozenDict[str, Any] = FrozenDict()  # noqa: RUF009  # it is frozen
    """What was decided on the way (gain, fans, bounds), as plain data."""
    drawn_by: Law | Whole | None = None
    """What draws the values; None where they come from elsewhere."""
    part: FilePart | None = None
    """What of a file the values are, if they come from one."""

    @property
    def mean(self) -> float | None:
        """What the values promise; None where they promise none."""
        return self.promise.mean

    @property
    def std(self) -> float | None:
        """The root mean square about `mean` that they promise."""
        return self.promise.std

    @property
    def elementwise(self) -> bool:
        """Whether it may be drawn in chunks of any size; else the whole matrix is, in contiguous memory."""
        return self.drawn_by is not None and not isinstance(self.drawn_by, Whole)

    @property
    def constant(self) -> bool:
        """Whether it gives all elements one value, in memory of any floating dtype, on any device."""
        return isinstance(self.drawn_by, Constant)

    def of_rows(self, first: int, last: int) -> Fill | None:
        """The same for some rows of the matrix alone; None where only all of it can be filled."""
        rows = self.drawn_by.of_rows(first, last) if isinstance(self.drawn_by, Whole) else None
        return None if rows is None else Fill(self.promise, self.numbers, rows)

    def draw_(self, out: Tensor, key: Key) -> Seen | None:
        """Fills `out` (contiguous; float64 for a parameter that is, else float32; see `constant`) in place with what
        `key` decides.

        Returns:
            What was seen of `out` on the way, about `mean` and in units of `std`; or None, and it is read again.
        """
        assert self.drawn_by is not None, "the values of this scheme are not drawn"
        if not isinstance(self.drawn_by, Whole):
            return self.drawn_by.draw_(out, key)
        self.drawn_by.draw_(out, key)
        return self.drawn_by.seen(out, self.mean, self.std)

    def strays(self, values: Tensor) -> int:
        """How many values contradict what the formula fixes; none of a law, whose constants show in its extremes."""
        return self.drawn_by.strays(values) if isinstance(self.drawn_by, Whole) else 0
