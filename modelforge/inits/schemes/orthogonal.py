"""Orthogonal weights: uniformly distributed isometries, as matrices and as kernels of convolutions."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Matrix
from modelforge.inits.base import Fill, Initializer, Moments
from modelforge.inits.fills import CONSTANT, Isometry, Whole
from modelforge.inits.gains.gain import Gain, resolve_gain
from modelforge.inits.haar import Method, isometry
from modelforge.inits.matrices import num_outputs_and_inputs, num_rows_and_columns, outputs_first, require_matrix
from modelforge.inits.registry import register_initializer


@register_initializer("orthogonal")
class Orthogonal(Initializer):
    """A Haar-distributed matrix with orthonormal rows (or columns, if there are more rows), times `gain`.

    Formula: W = gain·Q with QQᵀ = I or QᵀQ = I; std = gain / √max(rows, columns), exactly. A kernel is flattened to
        (out, in·k)
    Source: Saxe, McClelland and Ganguli, arXiv:1312.6120; Mezzadri, How to generate random matrices from the classical
        compact groups, arXiv:math-ph/0609050, for the signs without which Q of QR is not Haar; Stewart, SIAM J. Numer.
        Anal. 17 (1980), for drawing Q without a factorisation
    """

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""
    method: Method = "qr"
    """What is taken of a Gaussian matrix: Q of QR, drawn by its reflections, or UVᵀ, the nearest isometry. Both have
    the same law; `qr` is faster."""
    preserve: Literal["norm", "coordinate"] = "norm"
    """What a matrix with more rows than columns keeps of its input: the norm, which then spreads over more coordinates,
    or the mean square of a coordinate, by √(rows / columns) more. Elsewhere the two are the same."""

    def resolve(self, matrix: Matrix) -> Fill:
        """Each entry has the law of a coordinate of a random unit vector with max(rows, columns) coordinates."""
        require_matrix(matrix, "orthogonal", "a vector has no rows and columns")
        gain, (rows, columns) = resolve_gain(self.gain, matrix), num_rows_and_columns(matrix)
        numbers = gain.numbers() | {"method": self.method, "rows": rows, "columns": columns}
        factor = gain.value
        if self.preserve == "coordinate":
            stretch = math.sqrt(rows / columns) if rows > columns > 0 else 1.0
            numbers |= {"preserve": self.preserve, "stretch": stretch}
            factor *= stretch
        promise = haar_moments(matrix, factor, max(rows, columns))
        return Fill(promise, FrozenDict(numbers), Haar(matrix, factor, rows, columns, self.method))


@dataclass(frozen=True, slots=True)
class Haar(Whole):
    """factor·Q, computed in float64 and rounded once."""

    factor: float
    rows: int
    columns: int
    method: Method

    def fill(self, out: Tensor, generator: torch.Generator) -> None:
        view = outputs_first(out, self.matrix).numpy()
        matrix = isometry(self.rows, self.columns, generator, self.method).numpy()
        np.multiply(matrix.reshape(view.shape), self.factor, out=view, casting="same_kind")


class OrthogonalKernel(Initializer):
    """A convolution that keeps norms."""

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""

    @abstractmethod
    def decided(self, matrix: Matrix, gain: float) -> tuple[float, Whole]:
        """By how much the taps raise the kurtosis, and what draws the kernel."""

    def resolve(self, matrix: Matrix) -> Fill:
        """The law of the entries of a Haar matrix, spread over the taps.

        Raises:
            Refusal: it is not a kernel, or has more inputs than outputs.
        """
        if len(matrix.shape) < 3:
            reason = f"`{self.scheme}` needs the kernel of a convolution, but this has no taps"
            raise Refusal(reason, "use `orthogonal`")
        outputs, inputs = num_outputs_and_inputs(matrix)
        if inputs > outputs:
            raise Refusal(
                f"`{self.scheme}` keeps norms, so it needs at least as many outputs as inputs, but it has {inputs} "
                f"inputs and {outputs} outputs" + (" in each group" if matrix.name else ""),
                "use `orthogonal`, or give the layer more outputs",
                "MF093",
            )
        gain, taps = resolve_gain(self.gain, matrix), math.prod(matrix.shape[2:])
        peak, drawn_by = self.decided(matrix, gain.value)
        promise = haar_moments(matrix, gain.value, outputs, taps=taps, peak=peak, summed=True)
        numbers = gain.numbers() | {"outputs": outputs, "inputs": inputs}
        return Fill(promise, FrozenDict(numbers), drawn_by)


@register_initializer("delta_orthogonal")
class DeltaOrthogonal(OrthogonalKernel):
    """A convolution that keeps the norm of its input at stride 1: a Haar-distributed matrix at the centre of its taps.

    Formula: K[:, :, centre] = gain·Q with QᵀQ = I, and 0 elsewhere; the centre of a side of k taps is tap k // 2 (from
        0), as in torch's `dirac_` (TensorFlow and JAX take (k - 1) // 2, another one where k is even). std = gain /
        √(out·taps), exactly. Needs in <= out, in each group
    Source: Xiao et al., Dynamical isometry and a mean field theory of CNNs, arXiv:1806.05393, algorithm 2
    """

    def decided(self, matrix: Matrix, gain: float) -> tuple[float, Whole]:
        """A mixture of a point at zero and the law of the entries of a Haar matrix."""
        return math.prod(matrix.shape[2:]), HaarAtCentre(matrix, gain)


@dataclass(frozen=True, slots=True)
class HaarAtCentre(Whole):
    """factor·Q at the centre tap, and zeros; computed in float64 and rounded once."""

    factor: float

    def fill(self, out: Tensor, generator: torch.Generator) -> None:
        centre = centre_tap(outputs_first(out.zero_(), self.matrix))
        outputs, inputs = centre.shape
        centre.copy_(isometry(outputs, inputs, generator).mul_(self.factor))

    def strays(self, values: Tensor) -> int:
        """What is not zero beside the centre."""
        return int(values.count_nonzero()) - int(centre_tap(outputs_first(values, self.matrix)).count_nonzero())


@register_initializer("conv_orthogonal")
class ConvOrthogonal(OrthogonalKernel):
    """A convolution that keeps the norm of its input at stride 1, with all taps in use.

    Formula: K(z) = gain·∏ (P + (I - P)·z_d) Q over the k_d - 1 steps of each axis d in turn, with QᵀQ = I and random
        projections P. std = gain / √(out·taps), exactly; axis d alone puts C(k_d - 1, t) / 2^(k_d - 1) of the mean
        square on tap t. Needs in <= out, in each group
    Source: Xiao et al., Dynamical isometry and a mean field theory of CNNs, arXiv:1806.05393, algorithm 1 (for
        sides of equal length, which this does not need); `ConvolutionOrthogonal` in tensorflow,
        python/ops/init_ops.py, by which a basis vector is in P with probability 1/2
    """

    def decided(self, matrix: Matrix, gain: float) -> tuple[float, Whole]:
        """The kurtosis is that of many channels."""
        sizes = matrix.shape[2:]
        peak = math.prod(size * math.comb(2 * size - 2, size - 1) / 4 ** (size - 1) for size in sizes if size)
        return peak, HaarKernel(matrix, gain)


@dataclass(frozen=True, slots=True)
class HaarKernel(Whole):
    """factor·Q, lengthened tap by tap; computed in float64 and rounded once."""

    factor: float

    def fill(self, out: Tensor, generator: torch.Generator) -> None:
        view = outputs_first(out, self.matrix)
        outputs, inputs, *sizes = view.shape
        kernel = isometry(outputs, inputs, generator).view(outputs, inputs, *(1 for _ in sizes))
        for step in range(1, max(sizes)):
            for axis, size in enumerate(sizes, start=2):
                if step < size:
                    kernel = _lengthened(kernel, axis, generator)
        view.copy_(kernel.mul_(self.factor))


def haar_moments(
    matrix: Matrix,
    gain: float,
    length: int,
    *,
    taps: float = 1,
    peak: float = 1,
    copies: int = 1,
    parts: tuple[int, int] = (1, 1),
    summed: bool = False,
) -> Moments:
    """Of entries with the law of a coordinate of a random vector with this many coordinates and the norm `gain`.

    The vector is spread over `taps` entries a coordinate; `peak` is by how much the kurtosis grows by that. Outputs and
    inputs fall into so many `parts`, of which the first is the isometry; for `summed` see `Isometry`.
    """
    if not math.prod(matrix.shape):
        return CONSTANT
    std, kurtosis = gain / math.sqrt(length * taps), 3 * length / (length + 2) * peak
    outputs, inputs = num_outputs_and_inputs(matrix)
    isometry = Isometry(gain, outputs // parts[0], inputs // parts[1], summed)
    return Moments(mean=0.0, std=std, kurtosis=kurtosis, exact_std=True, copies=copies, isometry=isometry)


def centre_tap(kernel: Tensor) -> Tensor:
    """The matrix at tap k // 2 of each side; a matrix as it is."""
    return kernel[:, :, *(size // 2 for size in kernel.shape[2:])]


def _lengthened(kernel: Tensor, axis: int, generator: torch.Generator) -> Tensor:
    """The kernel with one more tap on an axis: what a random projection keeps stays, the rest moves a step."""
    size, length = len(kernel), kernel.shape[axis]
    rank = int(torch.randint(2, (size,), generator=generator, device="cpu").sum())
    basis = isometry(size, rank, generator)
    kept = (basis @ (basis.T @ kernel.reshape(size, -1))).view(kernel.shape)
    shape = [n + (dim == axis) for dim, n in enumerate(kernel.shape)]
    longer = kernel.new_zeros(shape)
    longer.narrow(axis, 0, length).add_(kept)
    longer.narrow(axis, 1, length).add_(kernel - kept)
    return longer
