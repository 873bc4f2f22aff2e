"""depth: what schemes know of residual branches: how many there are, what ends one, and in which layer it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import PositiveInt

from modelforge.core.complaints import Alternatives
from modelforge.core.errors import Refusal
from modelforge.core.matrix import Matrix
from modelforge.inits.base import NOTHING_TO_COUNT, Elementwise

Count = Annotated[Literal["auto"] | PositiveInt, Alternatives]
Ends = Annotated[Literal["auto"] | bool, Alternatives]
_HINT = "say so in the block, for the parameters in question: {}"


class EndAware(Elementwise):
    """A scheme that needs to know what ends a residual branch; its classes declare `ends` after what they count."""

    if TYPE_CHECKING:
        ends: Ends

    def ends_branch(self, matrix: Matrix) -> bool:
        """Whether the matrix makes what a residual branch adds.

        Raises:
            Refusal: the graph is not known.
        """
        if self.ends != "auto":
            return self.ends
        if matrix.context is None:
            reason = f"`{self.scheme}` starts the ends of residual branches differently, but no graph is known"
            raise Refusal(reason, self._hint)
        branch = matrix.context.branch
        return branch is not None and branch.ends

    @property
    def _without_branches(self) -> Refusal:
        reason = f"`{self.scheme}` counts residual branches, but the model has none"
        hint = "add a `Residual` layer, or choose a scheme that does not count branches"
        return Refusal(reason, hint, NOTHING_TO_COUNT)

    @property
    def _hint(self) -> str:
        """What to say where no graph is known: the scheme's own fields."""
        known = {"branches": "`branches: 24` and ", "layer": "`layer: 3` and "}
        return _HINT.format(
            "".join(said for name, said in known.items() if name in type(self).model_fields) + "`ends: true`"
        )


class LayerAware(EndAware):
    """A scheme whose ends of residual branches are the smaller, the deeper they stand."""

    layer: Count = "auto"
    """Number of the transformer layer, from 1, or `auto`: by the branches before it. Two make a layer, as do all of one
    torch layer, however many; where three of your own do, or in a decoder after an encoder, say the number."""
    ends: Ends = "auto"
    """Whether it makes what a branch adds, or `auto`: as the plan knows."""

    def layer_number(self, matrix: Matrix) -> int:
        """Number of the transformer layer, from 1.

        Raises:
            Refusal: the matrix is in no branch that is known.
        """
        if self.layer != "auto":
            return self.layer
        if matrix.context is None or matrix.context.branch is None:
            raise Refusal(
                f"`{self.scheme}` needs the number of the layer: no residual branch is known here", self._hint
            )
        return matrix.context.branch.layer

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        if self.ends == "auto" and matrix.context is not None and not matrix.context.num_branches:
            raise self._without_branches
        ends = self.ends_branch(matrix)
        layer = {"layer": self.layer_number(matrix)} if ends else {}
        return self.model_dump(exclude={"layer", "ends"}) | layer | {"ends_branch": ends}


class DepthAware(EndAware):
    """A scheme that needs to know the number of residual branches."""

    branches: Count = "auto"
    """Residual branches of the whole model (2·L in a transformer of L layers), or `auto`: as counted in the plan."""
    ends: Ends = "auto"
    """Whether it makes what a branch adds, or `auto`: as the plan knows."""

    def num_branches(self, matrix: Matrix) -> int:
        """Residual branches of the model.

        Raises:
            Refusal: the graph is not known, or has none.
        """
        if self.branches != "auto":
            return self.branches
        if matrix.context is None:
            reason = f"`{self.scheme}` needs the number of residual branches: no graph is known here"
            raise Refusal(reason, self._hint)
        if not matrix.context.num_branches:
            raise self._without_branches
        return matrix.context.num_branches

    def num_layers(self, matrix: Matrix) -> float:
        """Layers of two branches each."""
        return self.num_branches(matrix) / 2

    def is_scaled(self, matrix: Matrix) -> bool:
        """Whether it is in a branch, and none of its queries and keys."""
        in_branch = self.ends_branch(matrix) or (matrix.context is not None and matrix.context.branch is not None)
        return in_branch and matrix.name not in ("q", "k")

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        fields = self.model_dump(exclude={"branches", "ends"})
        return fields | {"branches": self.num_branches(matrix), "ends_branch": self.ends_branch(matrix)}
