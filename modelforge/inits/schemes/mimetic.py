"""Projections of an attention that start as trained ones look: drawn together, as factors of one matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import pi, sqrt
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Attention, Matrix, Projection
from modelforge.core.rng import Key, split
from modelforge.inits.base import DrawsPer, Fill, Initializer, Moments
from modelforge.inits.fields import LIMIT, NonNegative
from modelforge.inits.fills import MAX_SLANT, Whole, slant
from modelforge.inits.matrices import num_rows_and_columns, outputs_first
from modelforge.inits.registry import register_initializer

# Without noise all singular values are equal, and nothing says which of them a head keeps.
Noise = Annotated[float, Field(ge=1e-6, le=LIMIT)]
Product = tuple[Projection, float, float, int]
"""A projection, alpha and beta of the product that it is a factor of, and the rank to which that is cut."""
_NUM_POINTS = 2000
_HINT = "give the projections of this attention another scheme, such as `xavier`"


@register_initializer("mimetic")
class Mimetic(Initializer):
    """Attention as it looks after training: tokens attend to similar tokens, and part of what they read is subtracted.

    All projections of one attention draw the same matrices, one for each head's queries and keys and one for values and
    output, and each takes its factor. Of the factors for a head, those with the largest singular values are kept.

    Formula: W_qᵀW_k = alpha_qk·Z + beta_qk·I for each head, cut to rank head_size, and W_vᵀW_oᵀ = alpha_vo·Z -
        beta_vo·I, with Z ~ N(0, 1/d). If that is USVᵀ, W_q and W_v are √S·Uᵀ, W_k and W_oᵀ are √S·Vᵀ. Mean 0, and
        std² = mean(S) / d, as it is for large d
    Source: Trockman and Kolter, Mimetic initialization of self-attention layers, arXiv:2305.09828, §3
    """

    draws_per: ClassVar[DrawsPer] = "attention"

    alpha_qk: Noise = 0.7
    """Factor of the noise in what queries and keys make together."""
    beta_qk: NonNegative = 0.7
    """Factor of the identity in it."""
    alpha_vo: Noise = 0.4
    """Factor of the noise in what values and output make together."""
    beta_vo: NonNegative = 0.4
    """Factor of the identity in it, which is subtracted."""

    def resolve(self, matrix: Matrix) -> Fill:
        """Rows are singular vectors, which have any direction with equal probability, times √S."""
        attention = _attention(matrix)
        width, size = attention.width, attention.head_size
        qk, vo = (self.alpha_qk, self.beta_qk, size), (self.alpha_vo, -self.beta_vo, width)
        products = tuple[Product, ...]((item, *(qk if _pair(item) == "qk" else vo)) for item in attention.projections)
        moments = [top_moments(alpha, abs(beta), rank / width) for _, alpha, beta, rank in products]
        first, second = (sum(column) / len(products) for column in zip(*moments, strict=True))
        kurtosis = 3 * width / (width + 2) * second / first**2
        promise = Moments(mean=0.0, std=sqrt(first / width), kurtosis=kurtosis)
        pairs = dict.fromkeys(_pair(projection) for projection in attention.projections)
        fields = {name: getattr(self, name) for pair in pairs for name in (f"alpha_{pair}", f"beta_{pair}")}
        heads = {"num_heads": attention.num_heads, "head_size": size}
        numbers = {"projections": " ".join(attention.projections)} | fields | heads
        return Fill(promise, FrozenDict(numbers), Factors(matrix, products, width, size))


@dataclass(frozen=True, slots=True)
class Factors(Whole):
    """Factors of the products alpha·Z + beta·I, computed in float64 and rounded once."""

    products: tuple[Product, ...]
    width: int
    head_size: int

    def fill(self, out: Tensor, generator: torch.Generator) -> None:
        key = split(generator)
        for product, part in self._parts(out):
            if _pair(product[0]) == "qk":
                for number, head in enumerate(part.split(self.head_size)):
                    head.copy_(self._factor(product, key.sub("qk", number)))
            else:
                factor = self._factor(product, key.sub("vo"))
                part.copy_(factor.T if product[0] == "o" else factor)

    def strays(self, values: Tensor) -> int:
        """Those of heads whose rows are not orthogonal, as singular vectors are; of the output its columns count."""
        wrong = 0
        for (projection, *_), part in self._parts(values):
            rows = part.T if projection == "o" else part
            for head in rows.split(self.head_size) if _pair(projection) == "qk" else (rows,):
                straight = slant(head / head.norm(dim=1, keepdim=True)) <= MAX_SLANT
                wrong += 0 if straight else head.numel()
        return wrong

    def _parts(self, out: Tensor) -> Iterator[tuple[Product, Tensor]]:
        yield from zip(self.products, outputs_first(out, self.matrix).chunk(len(self.products)), strict=True)

    def _factor(self, of: Product, key: Key) -> Tensor:
        projection, alpha, beta, rank = of
        left, right = factors(product(alpha, beta, self.width, key), rank, key)
        return left if projection in ("q", "v") else right


def product(alpha: float, beta: float, width: int, key: Key) -> Tensor:
    """alpha·Z + beta·I with Z ~ N(0, 1 / width), in float64."""
    noise = torch.empty(width, width, dtype=torch.float64, device="cpu").normal_(generator=key.generator())
    return alpha / sqrt(width) * noise + beta * torch.eye(width, dtype=torch.float64, device="cpu")


def factors(matrix: Tensor, size: int, key: Key) -> tuple[Tensor, Tensor]:
    """√S·Uᵀ and √S·Vᵀ for the largest singular values of a square matrix USVᵀ, in falling order.

    Of each pair of singular vectors the sign is drawn: which of the two a library finds is not defined.
    """
    # Half the time of an SVD. Vᵀ comes from the matrix itself, so that the product keeps all digits.
    vectors = torch.linalg.eigh(matrix @ matrix.T)[1].flip(1)[:, :size].T
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    drawn = torch.empty_like(largest).uniform_(-1, 1, generator=key.sub("signs").generator())
    vectors = vectors * torch.where(largest * drawn < 0, -1.0, 1.0)
    scaled = vectors @ matrix
    roots = scaled.norm(dim=1, keepdim=True).sqrt()
    return roots * vectors, scaled / roots


def _pair(projection: Projection) -> str:
    return "qk" if projection in ("q", "k") else "vo"


def _attention(matrix: Matrix) -> Attention:
    """The attention that the matrix is part of.

    Raises:
        Refusal: there is none, or its products are not square.
    """
    attention = matrix.attention
    if attention is None:
        reason = "`mimetic` is for the projections of an attention, but this is not known to be one"
        raise Refusal(reason, "name the attention alone, as in `types: {MultiheadAttention: mimetic}`")
    heads, size, width = attention.num_heads, attention.head_size, attention.width
    rows, columns = num_rows_and_columns(matrix)
    inner, stream = (columns, rows) if attention.projections == ("o",) else (rows, columns)
    if inner != heads * size * len(attention.projections):
        reason = f"`mimetic` makes keys and values for each of the {heads} heads, but they share {inner // size}"
        raise Refusal(reason, _HINT)
    if stream != width:
        reason = f"`mimetic` joins projections of one width, but queries read {width} features, and this {stream}"
        raise Refusal(reason, _HINT)
    square = all(_pair(projection) == "qk" for projection in attention.projections)
    if (size > width) if square else (heads * size != width):
        reason = f"`mimetic` needs heads that fill the stream, but {heads} of size {size} do not make {width} features"
        raise Refusal(reason, _HINT)
    return attention


@lru_cache(maxsize=256)
def top_moments(alpha: float, beta: float, share: float) -> tuple[float, float]:
    """Means of s and of s², over the largest singular values s of alpha·Z + beta·I, of which they are this share.

    Z is square with independent entries of N(0, 1/d), and d is large. The transform m of the law of s² solves
    m = 1 / (beta² / (1 + alpha²·m) - (1 + alpha²·m)·s²), a cubic equation for n = alpha²·m, and the density is the
    imaginary part of m (Dozier and Silverstein, On the empirical distribution of eigenvalues of large dimensional
    information-plus-noise-type matrices, 2007).

    >>> mean, square = top_moments(1.0, 0.0, 1.0)  # a quarter of a circle, whose radius is 2
    >>> round(mean / (8 / (3 * np.pi)), 4), round(square, 4)
    (1.0, 1.0)
    """
    low, high = _ends(alpha, beta)
    angle = (np.arange(_NUM_POINTS) + 0.5) / _NUM_POINTS * pi
    s = (low + high) / 2 + (high - low) / 2 * np.cos(angle)
    a, b, z = alpha**2, beta**2, s**2
    companion = np.zeros((_NUM_POINTS, 3, 3))
    companion[:, 0] = np.stack([np.full_like(z, -2), (b - a) / z - 1, -a / z], axis=1)
    companion[:, 1, 0] = companion[:, 2, 1] = 1
    density = np.abs(np.linalg.eigvals(companion).imag).max(axis=1) * s
    # Where all singular values are about equal, rounding may leave no density between the ends; then any will do.
    weights = (density + np.finfo(float).tiny) * np.sin(angle)
    mass, first, second = (np.append(0.0, np.cumsum(weights * power)) / weights.sum() for power in (1, s, z))
    return float(np.interp(share, mass, first)) / share, float(np.interp(share, mass, second)) / share


def _ends(alpha: float, beta: float) -> tuple[float, float]:
    """Least and greatest singular value: where the discriminant of the cubic equation vanishes."""
    middle, root = beta**2 + 2.5 * alpha**2, sqrt(alpha**2 + 8 * beta**2)
    high = middle + alpha * (root**2 + root * alpha + alpha**2) / (root + alpha)
    if beta <= alpha:
        return 0.0, sqrt(high)
    low = middle - alpha * (root**2 - root * alpha + alpha**2) / (root - alpha)
    return sqrt(max(low, 0.0)), sqrt(high)
