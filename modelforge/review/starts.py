"""starts: two plans → which parameters start equal to the bit, which with other draws of one distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan
from modelforge.review.model_changes import Changes


@dataclass(frozen=True, slots=True)
class Starts:
    """Paths of parameters on the new side; of those that are gone on the old side."""

    identical: tuple[str, ...]
    """Equal to the bit."""
    redrawn: tuple[str, ...]
    """Other values of the same distribution: the seed or the path differs, of which a drawn value is a function."""
    changed: tuple[str, ...]
    """Another shape, type or distribution."""
    added: tuple[str, ...]
    removed: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The paths as plain data; of the identical ones the number."""
        return {
            "identical": len(self.identical),
            "same_distribution": list(self.redrawn),
            "changed": list(self.changed),
            "added": list(self.added),
            "removed": list(self.removed),
        }


def starts(old: Plan, new: Plan, changes: Changes) -> Starts:
    """How the parameters start, compared with the old side.

    Args:
        old: The plan of the old side.
        new: The plan of the new side.
        changes: What differs between them.

    Example:
        >>> from modelforge.language import parse
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.review.diff import diff
        >>> model = {"input": {"shape": [4]}, "layers": {"a": {"type": "Linear", "out_features": 2}}}
        >>> old, new = (plan(parse(model, "xavier", seed)) for seed in (0, 1))
        >>> result = starts(old, new, diff(old, new))
        >>> result.redrawn, result.identical
        (('a.weight',), ('a.bias',))
    """
    differing = {item.path: item for item in changes.parameters if item.kind == "changed"}
    added = {item.path for item in changes.parameters if item.kind == "added"}
    identical: list[str] = []
    redrawn: list[str] = []
    changed: list[str] = []
    for parameter in new.parameters:
        item = differing.get(parameter.path)
        if parameter.path in added:
            continue
        if item is not None and item.changes:
            changed.append(parameter.path)
        elif (item is not None or old.seed != new.seed) and not is_fixed(parameter):
            redrawn.append(parameter.path)
        else:
            identical.append(parameter.path)
    removed = tuple(item.path for item in changes.parameters if item.kind == "removed")
    return Starts(tuple(identical), tuple(redrawn), tuple(changed), tuple(sorted(added)), removed)


def is_fixed(parameter: ParameterPlan) -> bool:
    """Whether its values depend on neither seed nor path."""
    return all(
        matrix.fixed is not None or fill.part is not None or fill.promise.deterministic
        for matrix, fill in parameter.fills
    )
