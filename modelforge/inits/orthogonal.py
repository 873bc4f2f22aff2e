"""Orthogonal weights: uniformly distributed over all isometries of the block's matrix."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from modelforge.inits.base import Blockwise, Moments
from modelforge.inits.block import Block
from modelforge.inits.gains import Gain, resolve_gain
from modelforge.inits.matrices import num_rows_and_columns, outputs_first, require_matrix
from modelforge.inits.registry import register_initializer


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
    method: Literal["qr", "svd"] = "qr"
    """How a Gaussian matrix becomes orthogonal: Q·sign(diag R), or UVᵀ, the nearest. Equal in law; QR is faster."""

    def fill(self, out: Tensor, block: Block, generator: torch.Generator) -> None:
        """Computes in float64 and rounds once."""
        rows, columns = num_rows_and_columns(block)
        if not out.numel():
            return
        gaussian = torch.empty(max(rows, columns), min(rows, columns), dtype=torch.float64, device="cpu")
        gaussian.normal_(generator=generator)
        isometry = _ORTHOGONALISE[self.method](gaussian)
        matrix = (isometry if rows >= columns else isometry.T).numpy()
        view = outputs_first(out, block).numpy()
        np.multiply(matrix.reshape(view.shape), resolve_gain(self.gain, block).value, out=view, casting="same_kind")

    def moments(self, block: Block) -> Moments:
        """Each entry has the law of a coordinate of a random unit vector with max(rows, columns) coordinates."""
        require_matrix(block, "orthogonal", "it has no rows and columns to be orthogonal")
        longest = max(num_rows_and_columns(block))
        if not min(num_rows_and_columns(block)):
            return Moments(mean=0.0, std=0.0, kurtosis=1.0, exact_std=True, deterministic=True)
        std = resolve_gain(self.gain, block).value / longest**0.5
        return Moments(mean=0.0, std=std, kurtosis=3 * longest / (longest + 2), exact_std=True)

    def numbers(self, block: Block) -> dict[str, Any]:
        """The gain as a number and where it comes from, and the matrix."""
        rows, columns = num_rows_and_columns(block)
        return resolve_gain(self.gain, block).numbers() | {"method": self.method, "rows": rows, "columns": columns}


def _by_qr(gaussian: Tensor) -> Tensor:
    q, r = torch.linalg.qr(gaussian)
    return q * torch.where(r.diagonal() < 0, -1.0, 1.0)


def _by_svd(gaussian: Tensor) -> Tensor:
    u, _, vh = torch.linalg.svd(gaussian, full_matrices=False)
    return u @ vh


_ORTHOGONALISE = {"qr": _by_qr, "svd": _by_svd}
