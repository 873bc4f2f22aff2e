"""annotated: a document → the annotations of its changes, for GitHub, SARIF, JUnit and GitLab."""

from __future__ import annotations

from modelforge.core.quoting import listed
from modelforge.report.annotations import Annotation
from modelforge.review.document import Change, Document
from modelforge.review.formats.phrases import MAX_NAMED
from modelforge.review.kinds import KINDS


def annotated(document: Document) -> list[Annotation]:
    """The changes that are not accepted."""
    return [_annotation(change) for change in document.changes if change.accepted is None]


def rules() -> dict[str, str]:
    """What each kind of change means."""
    return {name: kind.why for name, kind in KINDS.items()}


def _annotation(change: Change) -> Annotation:
    spot = change.spot
    entries = f" (in {listed(change.entries, MAX_NAMED)})" if change.entries else ""
    message = f"{change.title}{': ' if change.follows else ''}{change.follows}{entries}. {KINDS[change.kind].why}"
    at = (spot.file, spot.line, spot.column) if spot else ("", 0, 0)
    return Annotation(change.kind, change.severity, message, *at, fingerprint=change.fingerprint)
