"""`TracedCause`: an edit of a review, and all that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from modelforge.review.model_changes import Changes
from modelforge.review.values import ValueChange

Kind = Literal["value", "defaults", "file", "override", "together"]


@dataclass(frozen=True)
class Written:
    """One edited place: a key of a file, its list of defaults, a whole file, or an override."""

    kind: Kind
    file: str
    """Below the config folder; empty for an override."""
    change: ValueChange
    """The key in the file with both values and places; of a whole file its name."""
    how: Literal["set", "added", "removed", "renamed", "moved"] = "set"
    old_name: str = ""
    """Of a renamed key its name before."""

    def to_dict(self) -> dict[str, Any]:
        """The edit as plain data."""
        names = {"kind": self.kind, "file": self.file or None, "how": self.how, "old_name": self.old_name or None}
        return {**names, **self.change.to_dict()}


@dataclass(frozen=True)
class Outcome:
    """What a cause does, in one composition or equally in several."""

    labels: tuple[str, ...]
    values: tuple[ValueChange, ...] = ()
    """The composed values at the edited keys."""
    derived: tuple[ValueChange, ...] = ()
    """Composed values elsewhere that follow, through interpolations."""
    diff: Changes | None = None
    """What differs in the model; None where it is the same, or not planned."""
    arrival: Literal["", "added", "removed", "broken"] = ""
    """Where a side has no such composition, or cannot compose or plan it."""

    def to_dict(self) -> dict[str, Any]:
        """The outcome as plain data."""
        return {
            "compositions": list(self.labels),
            "values": [change.to_dict() for change in self.values],
            "derived": [change.to_dict() for change in self.derived],
            "model": self.diff.to_dict() if self.diff and not self.diff.equal else None,
            "arrival": self.arrival or None,
        }


@dataclass(frozen=True)
class TracedCause:
    """An edit, or several that work together, and all that follows."""

    edits: tuple[Written, ...]
    outcomes: tuple[Outcome, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The compositions in which it has an effect."""
        return tuple(dict.fromkeys(label for outcome in self.outcomes for label in outcome.labels))

    def to_dict(self) -> dict[str, Any]:
        """The cause as plain data."""
        return {
            "edits": [edit.to_dict() for edit in self.edits],
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
        }
