"""`Review`: everything that differs between two sides' configs, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelforge.core.errors import Problem
from modelforge.planning.plan import Plan
from modelforge.review.cause import TracedCause
from modelforge.review.changed_files import REVIEW, FileDiff
from modelforge.review.consequences import Consequences
from modelforge.review.model_changes import Changes
from modelforge.review.values import ValueChange

REGISTERED = ("MF010", "MF020")
"""Problems with the name of a layer or an initializer."""


@dataclass(frozen=True)
class EntryDiff:
    """One composition: what differs between the sides, or its plan where only one side has it."""

    label: str
    kind: Literal["added", "removed", "changed"]
    num_values: int = 0
    """Composed values that were compared."""
    values: tuple[ValueChange, ...] = ()
    diff: Changes | None = None
    """None where no plans were compared."""
    same_model: bool = False
    """Whether both sides have the same model sections, so that there is one plan."""
    plan: Plan | None = None
    """The plan where one side alone has a model of that name."""
    broken: Literal["", "old", "new", "both"] = ""
    """The side that cannot be composed or planned; `both`: composed on both, and planned on neither."""
    problems: tuple[Problem, ...] = ()
    effective: tuple[ValueChange, ...] = ()
    """What the training comes to in numbers, such as `total_steps`, where that differs."""
    consequences: Consequences | None = None
    """What follows from the difference of the models; None where there is none."""
    file: str = ""
    """The file of its option below the config folder, or its primary config; empty for the default."""
    was: str = ""
    """What it is called on the old side, where the file of its option has another name there."""

    @property
    def unknown_names(self) -> bool:
        """Whether nothing is wrong but names of layers and initializers that plugins may register."""
        return bool(self.problems) and all(problem.code in REGISTERED for problem in self.problems)

    @property
    def equal(self) -> bool:
        """Whether nothing differs between the sides, its name included."""
        return self.same and not self.was

    @property
    def same(self) -> bool:
        """Whether nothing differs between the sides but its name."""
        same = self.same_model or (self.diff.equal if self.diff else self.broken == "both")
        return self.kind == "changed" and not self.values and same and self.broken in ("", "both")

    def to_dict(self) -> dict[str, Any]:
        """The difference as plain data."""
        return {
            "label": self.label,
            "was": self.was or None,
            "kind": self.kind,
            "equal": self.equal,
            "num_values": self.num_values,
            "values": [change.to_dict() for change in self.values],
            "model": "same" if self.same_model else self.diff.to_dict() if self.diff else None,
            "effective": [change.to_dict() for change in self.effective],
            "consequences": self.consequences.to_dict() if self.consequences else None,
            "broken": self.broken or None,
            "problems": [problem.to_dict() for problem in self.problems],
        }


@dataclass(frozen=True)
class FileNote:
    """A file that differs, and those of its edits that no composition shows."""

    file: FileDiff
    reason: str = ""
    """Why it was not compared; empty where it was."""
    edits: tuple[ValueChange, ...] = ()
    """Edits without an effect on any composition that was compared."""
    rewritten: tuple[ValueChange, ...] = ()
    """Edits that write the same value in another way: by an interpolation, or without one."""
    counted: bool = True
    """Whether it is one of the files that the review counts: a file in the folder."""

    @property
    def equal(self) -> bool:
        """Whether it says the same, or is not a config: hidden, or `review.yaml`."""
        hidden = not self.file.is_config and any(part.startswith(".") for part in self.file.path.split("/"))
        same = self.file.formatting or 0 < len(self.file.edits) == len(self.rewritten)
        return hidden or self.file.path == REVIEW or (same and not self.reason)

    def to_dict(self) -> dict[str, Any]:
        """The note as plain data."""
        facts = {"compared": not self.reason, "reason": self.reason or None, "same": self.equal}
        return {**self.file.to_dict(), **facts}


@dataclass(frozen=True)
class Review:
    """Everything that differs between two sides, and how much was compared."""

    old: str
    new: str
    overrides: tuple[str, ...]
    """Overrides of both sides."""
    notes: tuple[str, ...]
    """How the names of the sides were read, where that is not plain."""
    files: tuple[FileNote, ...]
    """The files that differ."""
    num_files: int
    """Files of both sides together; 0 where both are one folder, whose files cannot differ."""
    entries: tuple[EntryDiff, ...]
    """The compositions that were compared, the default first."""
    num_unaffected: int
    """Further compositions that read none of the files that differ."""
    alone: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further options that cannot be composed alone on either side, each with the reason."""
    causes: tuple[TracedCause, ...] = ()
    """The edits with what each of them does."""
    lacks_plugins: bool = False
    """Whether the project has plugins that were not imported."""

    @property
    def default(self) -> EntryDiff:
        """The composition of the defaults, with the overrides."""
        return self.entries[0]

    @property
    def equal(self) -> bool:
        """Whether nothing differs but formatting, comments and the order of keys (and files such as .gitignore)."""
        return all(entry.equal for entry in self.entries) and all(note.equal for note in self.files)

    @property
    def not_compared(self) -> tuple[FileNote, ...]:
        """The files that differ and that no composition reads."""
        return tuple(note for note in self.files if note.reason and note.file.path != REVIEW)

    def to_dict(self) -> dict[str, Any]:
        """The review as plain data; the model of the default composition comes first, as `Changes.to_dict` gives it."""
        default = self.default.diff.to_dict() if self.default.diff else {}
        return {
            "old": self.old,
            "new": self.new,
            **default,
            "equal": self.equal,
            "overrides": list(self.overrides),
            "notes": list(self.notes),
            "compared": {
                "causes": [cause.to_dict() for cause in self.causes],
                "compositions": [entry.label for entry in self.entries],
                "unaffected": self.num_unaffected,
                "cannot_be_composed": list(self.alone),
                "files": self.num_files,
                "values": sum(entry.num_values for entry in self.entries),
            },
            "not_compared": [note.to_dict() for note in self.not_compared],
            "files": [note.to_dict() for note in self.files],
            "causes": [cause.to_dict() for cause in self.causes],
            "compositions": [entry.to_dict() for entry in self.entries],
        }
