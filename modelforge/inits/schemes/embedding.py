"""Tables that vectors are looked up in."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Any, Literal

from modelforge.core.complaints import Alternatives
from modelforge.core.errors import Refusal
from modelforge.core.matrix import Matrix
from modelforge.inits.base import Elementwise
from modelforge.inits.fields import Positive, centred
from modelforge.inits.laws.law import Law
from modelforge.inits.matrices import require_matrix
from modelforge.inits.registry import register_initializer


@register_initializer("embedding")
class Embedding(Elementwise):
    """Vectors whose coordinates have the std `gain`; where the table is the output head too, the logits have it.

    The values of such a tied table are smaller by √d, so the model should multiply what it looks up by √d. A model that
    divides what its head reads by √d instead, as T5 does, needs `tied: false`.

    Formula: w ~ N(0, gain²); tied N(0, gain² / d), so that states h of unit variance make logits Wh of variance
        gain²
    Source: Vaswani et al., Attention is all you need, arXiv:1706.03762, §3.4; Raffel et al., T5, arXiv:1910.10683;
        Takase et al., Spike no more, arXiv:2312.16903, on the size of embeddings
    """

    gain: Positive = 1.0
    """Standard deviation of the coordinates that are looked up, or of the logits of a tied table."""
    tied: Annotated[Literal["auto"] | bool, Alternatives] = "auto"
    """Whether the output head multiplies by the table, or `auto`: where a layer has it as its weight."""

    def law(self, matrix: Matrix) -> Law:
        require_matrix(matrix, "embedding", "it holds no vectors")
        if matrix.role not in ("embedding", None) and not matrix.tied:
            reason = "`embedding` is for tables that are looked up, but this is a weight that multiplies"
            raise Refusal(reason, "move it below `embedding:`")
        width = matrix.shape[-1]
        return centred(self.gain / (sqrt(width) if self._tied(matrix) else 1.0) if width else 0.0)

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        return {"gain": self.gain, "tied": self._tied(matrix), "width": matrix.shape[-1]}

    def _tied(self, matrix: Matrix) -> bool:
        if self.tied != "auto":
            return self.tied
        if matrix.tied is None:
            reason = "`embedding` treats a table that is the output head apart, and it is not known where this is used"
            raise Refusal(reason, "say so: `tied: true` or `tied: false`")
        return matrix.tied
