"""Matrices with orthonormal rows or columns, uniformly distributed over all of them (Haar), in float64.

The Q of a Gaussian matrix, QR = A with a positive diagonal of R, is a product of Householder reflections. Each depends
on its column of A only through a vector that is Gaussian itself, so that Q is drawn without a factorisation: Stewart,
The efficient generation of random orthogonal matrices, SIAM J. Numer. Anal. 17 (1980). This halves the work.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal

import torch
from torch import Tensor

from modelforge.core.torch_state import num_cores

Method = Literal["qr", "svd"]

PART: Final = 256
"""Columns that are made together, where the matrix is large enough to use all cores."""
LARGE: Final = 2048
"""From how many columns on it is."""


def isometry(rows: int, columns: int, generator: torch.Generator, method: Method = "qr") -> Tensor:
    """A Haar-distributed matrix of shape (rows, columns) with orthonormal rows, or columns if there are more rows.

    Args:
        rows: At least 1.
        columns: At least 1.
        generator: What is drawn from; each entry of the matrix takes one normal value.
        method: `qr` multiplies random reflections, `svd` takes the isometry nearest to a Gaussian matrix.

    Returns:
        float64, on the CPU; not necessarily contiguous. It does not depend on the number of threads, if torch has one.

    Example:
        >>> q = isometry(3, 5, torch.Generator().manual_seed(0))
        >>> bool(torch.allclose(q @ q.T, torch.eye(3, dtype=q.dtype)))
        True
    """
    short, long = sorted((rows, columns))
    gaussian = torch.empty(short, long, device="cpu", dtype=torch.float32).normal_(generator=generator).double()
    if method == "qr":
        matrix = _product(*_reflections(gaussian)).T
    else:
        u, _, vh = torch.linalg.svd(gaussian, full_matrices=False)
        matrix = u @ vh
    return matrix.T if rows > columns else matrix


def _reflections(gaussian: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Reflections that would make column k of a Gaussian matrix, reflected by those before, end in its element k.

    Args:
        gaussian: (short, long); of row k the part from element k on is used. Overwritten.

    Returns:
        Their vectors v (long, short), with ones on the diagonal and zeros above it; τ of I - τvvᵀ; signs of the
        diagonal of R.
    """
    vectors = gaussian.triu_()
    first = vectors.diagonal().clone()
    ends = -torch.copysign(torch.linalg.vector_norm(vectors, dim=1), first)
    some = ends != 0  # all of a vector's values can be 0 where it has one or two
    factors = torch.where(some, (ends - first) / ends, 0.0)
    vectors /= torch.where(some, first - ends, 1.0)[:, None]
    vectors.diagonal().fill_(1)
    return vectors.T, factors, torch.where(ends < 0, -1.0, 1.0)


def _product(vectors: Tensor, factors: Tensor, signs: Tensor) -> Tensor:
    """The first columns of the product of all reflections, times the signs."""
    long, short = vectors.shape
    if short < LARGE:
        return torch.linalg.householder_product(vectors, factors).mul_(signs)
    product = vectors.new_zeros(short, long).T

    def make(start: int) -> None:
        part = slice(start, min(start + PART, short))
        columns = product[:, part]
        columns[part].fill_diagonal_(1)
        # Later reflections leave these columns of the unit matrix as they are.
        reflected = torch.ormqr(vectors[:, : part.stop], factors[: part.stop], columns)
        torch.mul(reflected, signs[part], out=columns)

    with ThreadPoolExecutor(num_cores()) as pool:
        # The last ones first: they take the longest.
        list(pool.map(make, reversed(range(0, short, PART))))
    return product
