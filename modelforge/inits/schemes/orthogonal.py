"""Orthogonal weights: uniformly distributed over all isometries of the block's matrix."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from modelforge.core.matrix import Block
from modelforge.inits.base import Blockwise, Moments
from modelforge.inits.fills import Isometry
from modelforge.inits.gains.gain import Gain, resolve_gain
from modelforge.inits.matrices import num_rows_and_columns, outputs_first, require_matrix
from modelforge.inits.registry import register_initializer

Method = Literal["qr", "svd"]


@register_initializer("orthogonal")
class Orthogonal(Blockwise):
    """A Haar-distributed matrix with orthonormal rows (or columns, if there are more rows), times `gain`.

    Formula: W = gain·Q with QQᵀ = I or QᵀQ = I; std = gain / √max(rows, columns), exactly. A kernel is flattened to
        (out, in·k)
    Source: Saxe, McClelland and Ganguli, arXiv:1312.6120; Mezzadri, How to generate random matrices from the classical
        compact groups, arXiv:math-ph/0609050, for the signs without which Q of QR is not Haar
    """

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""
    method: Method = "qr"
    """How a Gaussian matrix becomes orthogonal: Q·sign(diag R), or UVᵀ, the nearest. Equal in law; QR is faster."""
    preserve: Literal["norm", "coordinate"] = "norm"
    """What a matrix with more rows than columns keeps of its input: the norm, which then spreads over more coordinates,
    or the mean square of a coordinate, by √(rows / columns) more. Elsewhere the two are the same."""

    def fill(self, out: Tensor, block: Block, generator: torch.Generator) -> None:
        """Computes in float64 and rounds once."""
        if not out.numel():
            return
        view = outputs_first(out, block).numpy()
        matrix = isometry(*num_rows_and_columns(block), generator, self.method).numpy()
        np.multiply(matrix.reshape(view.shape), self._factor(block), out=view, casting="same_kind")

    def moments(self, block: Block) -> Moments:
        """Each entry has the law of a coordinate of a random unit vector with max(rows, columns) coordinates."""
        require_matrix(block, "orthogonal", "it has no rows and columns to be orthogonal")
        return haar_moments(block, self._factor(block), max(num_rows_and_columns(block)))

    def numbers(self, block: Block) -> dict[str, Any]:
        """The gain as a number and where it comes from, the matrix, and what keeps the coordinates."""
        rows, columns = num_rows_and_columns(block)
        numbers = resolve_gain(self.gain, block).numbers() | {"method": self.method, "rows": rows, "columns": columns}
        if self.preserve == "norm":
            return numbers
        return numbers | {"preserve": self.preserve, "stretch": self._stretch(block)}

    def _factor(self, block: Block) -> float:
        return resolve_gain(self.gain, block).value * self._stretch(block)

    def _stretch(self, block: Block) -> float:
        rows, columns = num_rows_and_columns(block)
        return math.sqrt(rows / columns) if self.preserve == "coordinate" and rows > columns > 0 else 1.0


def isometry(rows: int, columns: int, generator: torch.Generator, method: Method = "qr") -> Tensor:
    """A Haar-distributed matrix with orthonormal rows, or columns if there are more rows, in float64."""
    gaussian = torch.empty(max(rows, columns), min(rows, columns), dtype=torch.float64, device="cpu")
    isometry = _ORTHOGONALISE[method](gaussian.normal_(generator=generator))
    return isometry if rows >= columns else isometry.T


def haar_moments(
    block: Block,
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

    The vector is spread over `taps` entries a coordinate; `peak` is by how much the kurtosis grows by that. For `parts`
    and `summed` see `Isometry.of`.
    """
    if not math.prod(block.shape):
        return Moments(mean=0.0, std=0.0, kurtosis=1.0, exact_std=True, deterministic=True)
    std, kurtosis = gain / math.sqrt(length * taps), 3 * length / (length + 2) * peak
    isometry = Isometry.of(block, gain, parts=parts, summed=summed)
    return Moments(mean=0.0, std=std, kurtosis=kurtosis, exact_std=True, copies=copies, isometry=isometry)


def _by_qr(gaussian: Tensor) -> Tensor:
    q, r = torch.linalg.qr(gaussian)
    return q * torch.where(r.diagonal() < 0, -1.0, 1.0)


def _by_svd(gaussian: Tensor) -> Tensor:
    u, _, vh = torch.linalg.svd(gaussian, full_matrices=False)
    return u @ vh


_ORTHOGONALISE = {"qr": _by_qr, "svd": _by_svd}
