"""drafts: a review → its edits, each once, with what follows from it in all compositions that show it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from modelforge.review.document import Effect
from modelforge.review.attribution import Edit, edits
from modelforge.review.model_changes import Kind
from modelforge.review.review import Review
from modelforge.review.rows import rows
from modelforge.review.values import Change, exact


@dataclass
class Draft:
    """An edit that is equal in several compositions, and all that follows from it."""

    edit: Change | None
    whole_layer: bool = False
    labels: dict[str, None] = field(default_factory=dict[str, None])
    effects: dict[Effect, dict[str, None]] = field(default_factory=dict[Effect, dict[str, None]])
    layers: dict[str, Kind] = field(default_factory=dict[str, Kind])
    """Every layer that differs in more than the shape of its output, by path."""
    parameters: dict[str, Kind] = field(default_factory=dict[str, Kind])
    num_values: int = 0
    """Values that a chosen option, or a whole layer, stands for."""
    totals: set[str] = field(default_factory=set[str])
    """Facts about the whole model that differ."""

    @property
    def num_redrawn(self) -> int:
        """Parameters of both sides that start differently."""
        return sum(kind == "changed" for kind in self.parameters.values())

    def add(self, edit: Edit, label: str) -> None:
        """Takes in what follows from the edit in one more composition."""
        self.labels[label] = None
        for effect in rows(edit):
            self.effects.setdefault(effect, {})[label] = None
        self.layers |= {layer.path: layer.kind for layer in edit.layers if layer.differs_itself}
        self.parameters |= {item.path: item.kind for item in edit.parameters}
        self.totals |= {change.name for change in edit.totals}
        self.num_values = max(self.num_values, len(edit.values))


def drafts(review: Review) -> list[Draft]:
    """Every edit that a composition shows, in the order in which they are met."""
    found: dict[Any, Draft] = {}
    for entry in review.entries:
        for edit in edits(entry):
            found.setdefault(_identity(edit), Draft(edit.change, edit.whole_layer)).add(edit, entry.label)
    return list(found.values())


def _identity(edit: Edit) -> Any:
    change = edit.change
    return None if change is None else (change.path, edit.whole_layer, exact([change.old, change.new]))


def shown(draft: Draft) -> Iterator[tuple[Effect, tuple[str, ...]]]:
    """Its effects, each with the compositions that show it, unless those are the draft's."""
    for effect, labels in draft.effects.items():
        yield effect, () if len(labels) == len(draft.labels) else tuple(labels)
