"""Projections of an attention that start as trained ones look: drawn together, as factors of one matrix."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Attention, Block, Projection
from modelforge.core.rng import Key, split
from modelforge.inits.base import Blockwise, DrawsPer, Moments
from modelforge.inits.fields import LIMIT, NonNegative
from modelforge.inits.fills import MAX_SLANT, slant
from modelforge.inits.matrices import num_rows_and_columns, outputs_first
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.singular_values import top_moments

# Without noise all singular values are equal, and nothing says which of them a head keeps.
Noise = Annotated[float, Field(ge=1e-6, le=LIMIT)]
_HINT = "give the projections of this attention another scheme, such as `xavier`"


@register_initializer("mimetic")
class Mimetic(Blockwise):
    """Attention as it looks after training: tokens attend to what is like them, and a part of that is taken away.

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
    """Factor of the identity in it, which is taken away."""

    def fill(self, out: Tensor, block: Block, generator: torch.Generator) -> None:
        """Computes in float64 and rounds once."""
        attention, key = _attention(block), split(generator)
        parts = outputs_first(out, block).chunk(len(attention.projections))
        for projection, part in zip(attention.projections, parts, strict=True):
            if projection in ("q", "k"):
                for number, head in enumerate(part.split(attention.head_size)):
                    head.copy_(self._factor(projection, attention, key.sub("qk", number)))
            else:
                factor = self._factor(projection, attention, key.sub("vo"))
                part.copy_(factor.T if projection == "o" else factor)

    def strays(self, values: Tensor, block: Block) -> int:
        """Those of heads whose rows are not orthogonal, as singular vectors are; of the output its columns count."""
        attention = _attention(block)
        parts = outputs_first(values, block).chunk(len(attention.projections))
        wrong = 0
        for projection, part in zip(attention.projections, parts, strict=True):
            rows = part.T if projection == "o" else part
            for head in rows.split(attention.head_size) if projection in ("q", "k") else (rows,):
                straight = slant(head / head.norm(dim=1, keepdim=True)) <= MAX_SLANT
                wrong += 0 if straight else head.numel()
        return wrong

    def moments(self, block: Block) -> Moments:
        """Rows are singular vectors, which have any direction with equal probability, times √S."""
        attention = _attention(block)
        parts = [self._product(projection, attention) for projection in attention.projections]
        moments = [top_moments(alpha, abs(beta), size / attention.width) for alpha, beta, size in parts]
        first, second = (sum(column) / len(parts) for column in zip(*moments, strict=True))
        kurtosis = 3 * attention.width / (attention.width + 2) * second / first**2
        return Moments(mean=0.0, std=sqrt(first / attention.width), kurtosis=kurtosis)

    def numbers(self, block: Block) -> dict[str, Any]:
        """What the block makes, the fields that count for that, and the heads."""
        attention = _attention(block)
        pairs = dict.fromkeys(_pair(projection) for projection in attention.projections)
        fields = {name: getattr(self, name) for pair in pairs for name in (f"alpha_{pair}", f"beta_{pair}")}
        heads = {"num_heads": attention.num_heads, "head_size": attention.head_size}
        return {"projections": " ".join(attention.projections)} | fields | heads

    def _factor(self, projection: Projection, attention: Attention, key: Key) -> Tensor:
        alpha, beta, size = self._product(projection, attention)
        left, right = factors(product(alpha, beta, attention.width, key), size, key)
        return left if projection in ("q", "v") else right

    def _product(self, projection: Projection, attention: Attention) -> tuple[float, float, int]:
        """Of what a projection makes with its partner: the factors of noise and identity, and the rank."""
        if _pair(projection) == "qk":
            return self.alpha_qk, self.beta_qk, attention.head_size
        return self.alpha_vo, -self.beta_vo, attention.width


def product(alpha: float, beta: float, width: int, key: Key) -> Tensor:
    """alpha·Z + beta·I with Z ~ N(0, 1 / width), in float64."""
    noise = torch.empty(width, width, dtype=torch.float64, device="cpu").normal_(generator=key.generator())
    return alpha / sqrt(width) * noise + beta * torch.eye(width, dtype=torch.float64, device="cpu")


def factors(matrix: Tensor, size: int, key: Key) -> tuple[Tensor, Tensor]:
    """√S·Uᵀ and √S·Vᵀ for the largest singular values of a square matrix USVᵀ, in falling order.

    Of each pair of singular vectors the sign is drawn: which one a library finds is its own affair.
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


def _attention(block: Block) -> Attention:
    """The attention that the block is part of.

    Raises:
        Refusal: there is none, or its products are not square.
    """
    attention = block.attention
    if attention is None:
        reason = "`mimetic` is for the projections of an attention, but this is none that is known"
        raise Refusal(reason, "speak of the attention alone, as in `types: {MultiheadAttention: mimetic}`")
    heads, size, width = attention.num_heads, attention.head_size, attention.width
    rows, columns = num_rows_and_columns(block)
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
