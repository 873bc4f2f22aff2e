"""of_kind: the facts of one difference → a `Change` with its section, its severity and its fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelforge.review.document import MAX_EFFECTS, MAX_LABELS, Cause, Change, Effect
from modelforge.review.fingerprints import fingerprint
from modelforge.review.kinds import KINDS
from modelforge.review.rows import bounded, spot
from modelforge.review.value_words import pair, ratio
from modelforge.review.values import ABSENT, ValueChange


def of_kind(kind: str, key: str, words: str, edit: ValueChange | None = None, **fields: object) -> Change:
    """A change of a kind.

    Args:
        kind: A name of `KINDS`.
        key: What it is recognized by, with the values of the edit.
        words: Its title.
        edit: The edited value.
        fields: Further fields of the change.
    """
    facts = KINDS[kind]
    old, new = (edit.old, edit.new) if edit else (ABSENT, ABSENT)
    return Change(
        fingerprint=fingerprint(kind, facts.section, key, old, new),
        kind=kind,
        section=facts.section,
        severity=facts.severity,
        title=bounded(words),
        **{"cause": cause_of(edit, edit.name) if edit else None, **fields},  # pyright: ignore[reportArgumentType]  # each its own
    )


def cause_of(edit: ValueChange, key: str) -> Cause:
    """An edited value with its key in the composed config."""
    old, new = pair(edit.old, edit.new)
    places = {"old_spot": spot(edit.old_place), "new_spot": spot(edit.new_place)}
    return Cause(key=bounded(key), old=old, new=new, ratio=ratio(edit.old, edit.new), **places)


def labels_of(labels: Sequence[str]) -> tuple[str, ...]:
    """As many labels as a document holds."""
    return tuple(map(bounded, labels[:MAX_LABELS]))


def of_compositions(rows: Mapping[Effect, Iterable[str]]) -> dict[str, Any]:
    """The fields of a change with an effect for each row; a row that not all compositions show names its own.

    Args:
        rows: The effects, each with the compositions that show it.
    """
    labels = list(dict.fromkeys(label for several in rows.values() for label in several))
    effects = [
        row if len(own := [*several]) == len(labels) else row.model_copy(update={"entries": labels_of(own)})
        for row, several in rows.items()
    ]
    return {
        "effects": tuple(effects[:MAX_EFFECTS]),
        "num_effects": sum(row.copies for row in effects),
        "entries": labels_of(labels),
        "num_entries": len(labels),
    }
