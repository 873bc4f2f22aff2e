"""A review for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.core.words import plural
from modelforge.report.aligned import Aligned, Wrapped
from modelforge.review.document import Change, Document, Effect
from modelforge.review.formats.phrases import (
    MAX_OPEN,
    compared,
    edited,
    factor,
    in_entries,
    name_of,
    sides,
    some,
    spots,
    std,
)
from modelforge.review.kinds import SECTIONS

MAX_TITLE = 50
"""Characters of a title that stands on the first line; in place of a longer one stands the name of its kind."""
STYLES: Mapping[str, str] = {"+": "green", "-": "red", "~": "yellow", "!": "bold red", ">": "cyan"}


def text(document: Document) -> RenderableType:
    """The verdict, what was compared, and the changes by section, each with what follows from it."""
    both = f", both with {' '.join(document.overrides)}" if document.overrides else ""
    parts: list[RenderableType] = [
        Wrapped(Text(f"{' → '.join(sides(document))}{both}", "bold")),
        Wrapped(Text(document.verdict)),
    ]
    parts += [Wrapped(Text(note, "yellow")) for note in document.notes]
    parts += [Wrapped(Text(line, "dim")) for line in compared(document)]
    for section, title in SECTIONS.items():
        if changes := document.of_section(section):
            parts += [Text(), Text(title, "bold"), *_section(document, changes)]
    if accepted := document.accepted:
        parts += [Text(), Text("accepted", "bold"), Aligned([_accepted(change) for change in accepted], 2, stages=(2,))]
    return Group(*parts)


def _section(document: Document, changes: Sequence[Change]) -> Iterator[RenderableType]:
    open_changes = changes[: MAX_OPEN + 1] if len(changes) == MAX_OPEN + 1 else changes[:MAX_OPEN]
    for group in _by_effects(open_changes):
        yield Aligned([_head(document, change) for change in group], 2, stages=(5, 4, 3, 2))
        yield from _effects(group[-1])
    if more := len(changes) - len(open_changes):
        yield Text(f"  … and {plural(more, 'more change')}: `--format json` has all", "dim")


def _by_effects(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Changes one below the other, as far as a change with effects."""
    group: list[Change] = []
    for change in changes:
        group.append(change)
        if change.effects:
            yield group
            group = []
    if group:
        yield group


def _head(document: Document, change: Change) -> list[Text]:
    style = "bold red" if change.severity == "error" else "bold"
    where = Text(spots(change), "dim")
    named = change.cause is not None or len(change.title) <= MAX_TITLE
    return [
        Text(change.mark, STYLES[change.mark]),
        Text(change.cause.key if change.cause else change.title if named else name_of(change), style),
        Text(edited(change) if named else change.title, style),
        Text(change.follows),
        where,
        Text(in_entries(change.entries, change.num_entries, document)),
        Text(change.fingerprint, "dim"),
    ]


def _effects(change: Change) -> Iterator[RenderableType]:
    shown = change.effects if len(change.effects) <= MAX_OPEN + 1 else change.effects[:MAX_OPEN]
    if shown:
        yield Aligned([_effect(effect) for effect in shown], 6, stages=(6, 5, 4, 3, 2))
    hidden = change.num_effects - sum(effect.copies for effect in shown)
    if hidden:
        yield Text(f"      … and {hidden:,} more: `--format json` has all", "dim")


def _effect(effect: Effect) -> list[Text]:
    copies = f" ({effect.copies} alike)" if effect.copies > 1 else ""
    style = "cyan" if effect.subject == "layer" else "dim"
    return [
        Text(effect.mark, STYLES[effect.mark]),
        Text(effect.name + copies),
        Text(effect.type, style),
        Text(std(effect)),
        Text(factor(effect)),
        Text(effect.words, "dim"),
        Text(f"in {some(effect.entries, len(effect.entries))}" if effect.entries else "", "dim"),
    ]


def _accepted(change: Change) -> list[Text]:
    assert change.accepted is not None
    here = ", in this change" if change.accepted.arrives else ""
    why = f"{change.accepted.reason} ({change.accepted.author}{here})"
    return [Text(change.mark, "dim"), Text(change.title, "dim"), Text(why, "dim"), Text(change.fingerprint, "dim")]
