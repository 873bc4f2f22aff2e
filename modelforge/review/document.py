"""`Document`: a review as a reader or a program gets it. Every format is made of one, and of nothing else.

A document may come from a stranger's job: everything in it is bounded, and checked when it is read.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from modelforge.review.kinds import KINDS, Section, Severity

FORMAT_VERSION = "1.0"
"""The minor number rises with additions, the major one with everything else."""
MAX_CHANGES = 2_000
MAX_EFFECTS = 200
MAX_LABELS = 100
MAX_TEXT = 500
MAX_FOLLOWS = 4_000
"""Of the words for what an edit does: a `weights` section with the renames of a whole network."""
MAX_PICTURED = 40
"""Nodes of a picture."""
MAX_DOCUMENT_BYTES = 8_000_000
"""Of a document in a file."""

Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
Count = Annotated[int, Field(ge=0, le=10**18)]
Labels = Annotated[tuple[Text, ...], Field(max_length=MAX_LABELS)]
Sign = Annotated[str, StringConstraints(pattern=r"^[-+~!>]$")]


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError("unknown kind of change")
    return kind


class Data(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Spot(Data):
    """Where something is written."""

    words: Text
    """File and line as a person reads them, or an override."""
    file: Text = ""
    """Empty for an override."""
    line: Count = 0
    column: Count = 0


class Cause(Data):
    """The edit that a change follows from."""

    key: Text
    """The override key, such as `init.gain`."""
    old: Text | None = None
    """The value as YAML or JSON has it; null where the side has no such key."""
    new: Text | None = None
    old_spot: Spot | None = None
    new_spot: Spot | None = None
    ratio: float | None = None
    """New over old, where both are numbers."""


class Effect(Data):
    """One layer, parameter or value that differs, or several alike."""

    mark: Sign
    """`+` added, `-` removed, `~` changed, `>` moved or renamed."""
    subject: Annotated[str, StringConstraints(pattern="^(layer|parameter|value|key)$")]
    name: Text
    copies: Annotated[int, Field(ge=1, le=10**9)] = 1
    type: Text = ""
    """Of a layer its type, of a parameter its shape."""
    words: Text = ""
    old_std: float | None = None
    new_std: float | None = None
    ratio: float | None = None
    """New target std over the old one."""
    spot: Spot | None = None
    entries: Labels = ()
    """The compositions; empty where they are those of the change."""


class Node(Data):
    """A layer in a picture, or several alike."""

    name: Text
    mark: Annotated[str, StringConstraints(pattern=r"^[-+~!>]?$")] = ""
    """Empty for a layer that stays, and is there for its edges."""
    type: Text = ""
    words: Text = ""


class Picture(Data):
    """The changed part of a network as a graph."""

    entry: Text = ""
    nodes: Annotated[tuple[Node, ...], Field(max_length=MAX_PICTURED)]
    num_nodes: Count
    """Those that are left out included."""
    edges: Annotated[tuple[tuple[Count, Count], ...], Field(max_length=4 * MAX_PICTURED)] = ()
    """Pairs of indices of nodes on the new side: what is read, and what reads it."""
    old_edges: Annotated[tuple[tuple[Count, Count], ...], Field(max_length=4 * MAX_PICTURED)] = ()
    """Those of the old side that the new one does not have."""

    @model_validator(mode="after")
    def _check_edges(self) -> Picture:
        if any(end >= len(self.nodes) for edge in (*self.edges, *self.old_edges) for end in edge):
            raise ValueError("an edge leads to no node")
        return self


class Acceptance(Data):
    """Who accepted a change, and why."""

    reason: Text
    author: Text
    arrives: bool = False
    """Whether the acceptance comes with the change itself: the old side does not have it."""


class Change(Data):
    """One difference that matters: its cause, and what follows from it."""

    fingerprint: Annotated[str, StringConstraints(pattern="^[0-9a-f]{12}$")]
    """Equal for an equal change, whatever its line and the compositions that show it."""
    kind: Annotated[str, StringConstraints(max_length=50), AfterValidator(_known)]
    section: Section
    severity: Severity
    mark: Sign = "~"
    title: Text
    """What was edited, and how."""
    follows: Annotated[str, StringConstraints(max_length=MAX_FOLLOWS)] = ""
    """What the edit does, counted."""
    cause: Cause | None = None
    spot: Spot | None = None
    """Where to look: the edited line, on the new side if it is there."""
    effects: Annotated[tuple[Effect, ...], Field(max_length=MAX_EFFECTS)] = ()
    num_effects: Count = 0
    """All effects, copies and those that are left out here included."""
    num_redrawn: Count = 0
    """Parameters of both sides that start differently."""
    entries: Labels = ()
    """The compositions that show it, such as `model=gpt2`."""
    num_entries: Count = 0
    accepted: Acceptance | None = None


class Compared(Data):
    """How much was compared."""

    entries: Labels
    num_entries: Count
    num_unaffected: Count = 0
    """Further compositions that read none of the files that differ."""
    num_files: Count = 0
    num_changed_files: Count = 0
    num_values: Count = 0
    num_parameters: Count = 0
    """Of the default composition."""


class NotCompared(Data):
    """A file or a composition that was not compared."""

    name: Text
    reason: Text


class Document(Data):
    """A whole review."""

    format_version: Annotated[str, StringConstraints(pattern=r"^1\.[0-9]{1,3}$")] = FORMAT_VERSION
    old: Text
    new: Text
    overrides: Labels = ()
    """Of both sides."""
    equal: bool
    """Whether nothing differs but formatting, comments and the order of keys."""
    verdict: Text
    """One line: what the change does."""
    changes: Annotated[tuple[Change, ...], Field(max_length=MAX_CHANGES)] = ()
    num_changes: Count = 0
    compared: Compared
    not_compared: Annotated[tuple[NotCompared, ...], Field(max_length=MAX_LABELS)] = ()
    num_not_compared: Count = 0
    pictures: Annotated[tuple[Picture, ...], Field(max_length=5)] = ()
    notes: Annotated[tuple[Text, ...], Field(max_length=20)] = ()

    def of_section(self, section: str) -> list[Change]:
        """The changes of a section, accepted ones left out."""
        return [change for change in self.changes if change.section == section and change.accepted is None]

    @property
    def accepted(self) -> list[Change]:
        """The changes that `review.yaml` accepts."""
        return [change for change in self.changes if change.accepted is not None]


def document_schema() -> dict[str, Any]:
    """The JSON Schema of a document."""
    schema = Document.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "modelforge review", **schema}
