"""Identities: weights that pass inputs on to outputs through fixed kernels. Nothing is drawn."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Matrix
from modelforge.inits.base import Fill, Initializer, Matrixwise, Moments
from modelforge.inits.fills import CONSTANT, Whole
from modelforge.inits.gains.gain import Gain, resolve_gain
from modelforge.inits.laws.seen import Seen, seen_of_few
from modelforge.inits.matrices import num_outputs_and_inputs, outputs_first, require_matrix
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.orthogonal import centre_tap


class OneToOne(Initializer):
    """Output i reads input i alone; outputs or inputs that have no partner get zeros. Nothing is drawn."""

    @abstractmethod
    def kernel(self, matrix: Matrix) -> np.ndarray:
        """What lies between an input and its output, of shape `matrix.shape[2:]`.

        Raises:
            Refusal: the scheme has no meaning for a matrix of this shape.
        """

    def resolve(self, matrix: Matrix) -> Fill:
        """The moments of the values themselves."""
        require_matrix(matrix, self.scheme, "it has no inputs and outputs to pair")
        kernel = self.kernel(matrix)
        fill = Diagonal(matrix, tuple(kernel.ravel().tolist()))
        return Fill(_moments(matrix, kernel), FrozenDict(self.numbers(matrix)), fill)


def _moments(matrix: Matrix, kernel: np.ndarray) -> Moments:
    size = math.prod(matrix.shape)
    if not size:
        return CONSTANT
    pairs = min(matrix.shape[:2])
    mean = pairs * float(kernel.sum()) / size
    second, fourth = (
        (pairs * float(((kernel - mean) ** power).sum()) + (size - pairs * kernel.size) * mean**power) / size
        for power in (2, 4)
    )
    kurtosis = fourth / second**2 if second else 1.0
    return Moments(mean, math.sqrt(second), kurtosis, exact_std=True, deterministic=True)


@dataclass(frozen=True, slots=True)
class Diagonal(Whole):
    """Zeros, and a kernel on the diagonal."""

    writes_all = True

    kernel: tuple[float, ...]
    """Flat."""
    first: int = 0
    """Number of the first row."""

    def of_rows(self, first: int, last: int) -> Diagonal:
        shape = (last - first, *self.matrix.shape[1:])
        return Diagonal(Matrix(shape, self.matrix.fan_in, self.matrix.fan_out), self.kernel, self.first + first)

    def fill(self, out: Tensor, generator: torch.Generator) -> None:
        out.zero_().diagonal(self.first).copy_(self._kernel(torch.float64))

    def strays(self, values: Tensor) -> int:
        """What is not the kernel on the diagonal, or not zero beside it."""
        diagonal = values.diagonal(self.first)
        wrong = int((diagonal != self._kernel(values.dtype)).sum())
        return wrong + _num_nonzero(values) - _num_nonzero(diagonal)

    def seen(self, out: Tensor, mean: float | None, std: float | None) -> Seen | None:
        """By the diagonal alone."""
        if out.dtype != torch.float32 or mean is None or not out.numel():
            return None
        diagonal = out.diagonal(self.first).movedim(-1, 0).numpy()
        pairs, kernel, (row, column) = len(diagonal), math.prod(out.shape[2:]), out.stride()[:2]
        places = (self.first * column + np.arange(pairs) * (row + column))[:, None] + np.arange(kernel)
        return seen_of_few(places.ravel(), diagonal.reshape(-1), out.numel(), mean, std)

    def _kernel(self, dtype: torch.dtype) -> Tensor:
        return torch.tensor(self.kernel, dtype=dtype, device="cpu").view(*self.matrix.shape[2:], 1)


def _num_nonzero(values: Tensor) -> int:
    """How many values differ from +0 in a bit."""
    numbers = values.numpy()
    return int(np.count_nonzero(numbers.view(f"i{numbers.itemsize}")))


@register_initializer("eye", aliases=("identity",))
class Eye(OneToOne):
    """The identity matrix, or as much of one as fits.

    Where there are more outputs than inputs, the others start at zero: the rank of what is learned stays low for long
    (Zhao et al., arXiv:2110.12661). Convolutions have `dirac`.

    Formula: W[i, j] = gain·δ_ij
    Source: Le, Jaitly and Hinton, arXiv:1504.00941, for recurrent weights
    """

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        return resolve_gain(self.gain, matrix).numbers()

    def kernel(self, matrix: Matrix) -> np.ndarray:
        if len(matrix.shape) > 2:
            raise Refusal("`eye` fills matrices, but this is the kernel of a convolution", "use `dirac`")
        return np.array(resolve_gain(self.gain, matrix).value)


@register_initializer("dirac")
class Dirac(OneToOne):
    """The identity of a convolution: each channel, in each group, passes through the centre of its kernel.

    Where there are more outputs than inputs, the others start at zero: the rank of what is learned stays low for long.

    Formula: W[o, i, centre] = gain·δ_oi and 0 elsewhere, with centre = ⌊k / 2⌋ for k taps
    Source: Zagoruyko and Komodakis, DiracNets, arXiv:1706.00388; `dirac_` in torch.nn.init
    """

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        return resolve_gain(self.gain, matrix).numbers()

    def kernel(self, matrix: Matrix) -> np.ndarray:
        if len(matrix.shape) == 2:
            raise Refusal("`dirac` fills kernels of convolutions, but this is a matrix", "use `eye`")
        taps = matrix.shape[2:]
        kernel = np.zeros(taps)
        if kernel.size:
            kernel[tuple(num_taps // 2 for num_taps in taps)] = resolve_gain(self.gain, matrix).value
        return kernel


@register_initializer("zero")
class ZerO(Matrixwise):
    """Nothing is drawn: an identity, cut off where a layer narrows, and columns of a Hadamard matrix where it widens.

    Formula: out <= in: W[i, j] = 1 if i = j, else 0; out > in: W[i, j] = H[i, j] / √p with p = 2^⌈log2 out⌉ and
        H[i, j] = (-1)^(number of ones that i and j share in binary). A kernel has W at its centre, tap k // 2 of each
        side, and 0 elsewhere
    Source: Zhao, Schäfer and Anandkumar, ZerO initialization, arXiv:2110.12661, algorithms 1 and 2, with the factor of
        the authors' code (jiaweizzhao/ZerO-initialization), which makes the columns orthonormal if out = p
    """

    def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
        """Doubles the Hadamard matrix in place until it fills the centre."""
        centre = centre_tap(outputs_first(out.zero_(), matrix))
        outputs, inputs = centre.shape
        if outputs <= inputs:
            centre.fill_diagonal_(1.0)
            return
        centre[0, 0] = _power_of_two(outputs) ** -0.5
        size = 1
        while size < outputs:
            known = centre[:size, :size]
            for rows, columns, sign in ((size, 0, 1), (0, size, 1), (size, size, -1)):
                part = centre[rows : rows + size, columns : columns + size]
                part.copy_(known[: part.shape[0], : part.shape[1]]).mul_(sign)
            size *= 2

    def strays(self, values: Tensor, matrix: Matrix) -> int:
        """What is not the formula's, row by row, or not zero beside the centre."""
        centre = centre_tap(outputs_first(values, matrix)).numpy()
        outputs, inputs = centre.shape
        wrong = int(values.count_nonzero()) - int(np.count_nonzero(centre))
        if outputs <= inputs:
            return wrong + int(np.count_nonzero(centre != np.eye(outputs, inputs, dtype=centre.dtype)))
        factor, columns = centre.dtype.type(_power_of_two(outputs) ** -0.5), np.arange(inputs)
        for number, row in enumerate(centre):
            odd = (np.bitwise_count(columns & number) & 1).astype(bool)
            wrong += int(np.count_nonzero(row != np.where(odd, -factor, factor)))
        return wrong

    def moments(self, matrix: Matrix) -> Moments:
        """Counted; columns and rows of a Hadamard matrix do not all sum to zero."""
        require_matrix(matrix, "zero", "it has no rows and columns")
        (outputs, inputs), count = num_outputs_and_inputs(matrix), math.prod(matrix.shape)
        if not count:
            return CONSTANT
        if outputs <= inputs:
            first, second = outputs, outputs
        else:
            side = _power_of_two(outputs)
            first, second = _sum(outputs, inputs, side) / math.sqrt(side), outputs * inputs / side
        mean = first / count
        std = math.sqrt(max(second / count - mean**2, 0.0))
        return Moments(mean=mean, std=std, exact_std=True, deterministic=True)


def _power_of_two(size: int) -> int:
    """The least power of two that is not below `size`."""
    return 1 << (size - 1).bit_length()


def _sum(rows: int, columns: int, side: int) -> int:
    """Of the entries in the first rows and columns of the Hadamard matrix of this side.

    All quarters are the matrix of half the side, the last with a minus; a full matrix sums to its side.
    """
    if not rows or not columns:
        return 0
    if side in (rows, columns):
        return side
    half = side // 2
    more_rows, more_columns = rows - half, columns - half
    if more_rows <= 0 and more_columns <= 0:
        return _sum(rows, columns, half)
    if more_columns <= 0:
        return half + _sum(more_rows, columns, half)
    if more_rows <= 0:
        return half + _sum(rows, more_columns, half)
    return 3 * half - _sum(more_rows, more_columns, half)
