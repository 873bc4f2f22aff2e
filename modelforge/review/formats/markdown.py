"""A review as Markdown for a pull request. Every name and value is code: nothing in a config can format or mention."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from modelforge.core.words import plural
from modelforge.report.escapes import cell, code, prose
from modelforge.review.document import Change, Document, Effect
from modelforge.review.formats.mermaid import mermaid
from modelforge.review.formats.phrases import MAX_OPEN, compared, factor, in_entries, name_of, sides, some, spots, std
from modelforge.review.kinds import SECTIONS

MAX_CHARACTERS = 60_000
"""Of the whole text: GitHub refuses a comment of more than 65,536 characters."""
MAX_ROWS = 50
"""Of one table; more are in further ones."""
_MARKS = {"error": "❌", "warning": "⚠️", "info": ""}


@dataclass(frozen=True, slots=True)
class _Block:
    """A part of the text that is there whole or not at all, and what to call it where it is cut."""

    lines: tuple[str, ...]
    name: str = ""
    """Empty for what is never cut."""

    @property
    def size(self) -> int:
        return sum(len(line) + 1 for line in self.lines)


def markdown(document: Document, limit: int = MAX_CHARACTERS) -> str:
    """The review as GitHub-flavoured Markdown.

    Args:
        document: The review.
        limit: Characters; what has no room is left out, from the end, and counted.
    """
    blocks = list(_blocks(document))
    room = limit - 500  # for the last line, which says what is cut
    if sum(block.size for block in blocks) <= limit:
        room = limit
    left: dict[str, int] = {}
    lines: list[str] = []
    for block in blocks:
        if block.name and block.size > room:
            left[block.name] = left.get(block.name, 0) + 1
            continue
        room -= block.size
        lines += block.lines
    if left:
        names = ", ".join(plural(number, name) for name, number in left.items())
        lines += ["", f"Cut at {limit:,} characters: {names} left out. `modelforge diff --format json` has all."]
    return "\n".join(lines) + "\n"


def _blocks(document: Document) -> Iterator[_Block]:
    both = f", both with {code(' '.join(document.overrides))}" if document.overrides else ""
    head = [f"### {' → '.join(map(code, sides(document)))}{both}", "", f"**{prose(_sentence(document.verdict))}**"]
    for note in document.notes:
        head += ["", prose(_sentence(note))]
    yield _Block(tuple(head))
    open_rows = MAX_OPEN
    for section, title in SECTIONS.items():
        changes = document.of_section(section)
        if not changes:
            continue
        yield _Block(("", f"#### {title.capitalize()}"))
        shown = changes[: max(open_rows, 1)]
        open_rows -= len(shown)
        yield _Block(tuple(_changes(document, shown)), "change table")
        for number_of, rest in _chunks(changes[len(shown) :]):
            yield _Block(tuple(_folded(plural(number_of, "more change"), _changes(document, rest))), "change table")
        if section == "model":
            yield from (_Block(("", *mermaid(picture)), "picture") for picture in document.pictures)
        for change in changes:
            if change.effects:
                folded = len(change.effects) > open_rows
                open_rows -= 0 if folded else len(change.effects)
                yield _Block(tuple(_effects(change, folded=folded)), "effect table")
    if accepted := document.accepted:
        rows = [(change.mark, _title(change), *_acceptance(change), code(change.fingerprint)) for change in accepted]
        table = _table(("", "change", "reason", "accepted by", "where", "fingerprint"), rows)
        yield _Block(tuple(_folded(plural(len(accepted), "accepted change"), table)), "acceptance table")
    if lines := compared(document):
        sentences = [line for text in lines for line in ("", prose(_sentence(text)))]
        yield _Block(tuple(_folded("What was compared", sentences)), "list")


def _changes(document: Document, changes: Sequence[Change]) -> Iterator[str]:
    rows = (
        (
            " ".join(filter(None, (change.mark, _MARKS[change.severity] if change.severity == "error" else ""))),
            _title(change),
            code(spots(change)),
            prose(in_entries(change.entries, change.num_entries, document)),
            code(change.fingerprint),
        )
        for change in changes
    )
    yield from _table(("", "change", "where", "compositions", "fingerprint"), rows)


def _title(change: Change) -> str:
    """The edit as code, and what follows from it in words."""
    edit = code(change.title) if change.cause is not None else prose(change.title)
    return f"{edit}: {prose(change.follows)}" if change.follows else edit


def _effects(change: Change, *, folded: bool) -> Iterator[str]:
    rows = [row for effect in change.effects for row in [_effect(effect)]]
    filled = [index for index in range(len(_HEADER)) if index < 2 or any(row[index] for row in rows)]
    table = list(_table([_HEADER[index] for index in filled], ([row[index] for index in filled] for row in rows)))
    hidden = change.num_effects - sum(effect.copies for effect in change.effects)
    if hidden:
        table += ["", f"… and {hidden:,} more."]
    if folded:
        yield from _folded(_heading(change, "<code>{}</code>", _html), table)
    else:
        yield from ("", f"{_heading(change, '{}', code)}:", *table)


_HEADER = ("", "name", "type or shape", "std", "ratio", "what", "where", "compositions")


def _effect(effect: Effect) -> tuple[str, ...]:
    copies = f" ({effect.copies} alike)" if effect.copies > 1 else ""
    return (
        effect.mark,
        code(effect.name) + copies,
        code(effect.type),
        code(std(effect)),
        factor(effect),
        code(effect.words),
        code(effect.spot.words) if effect.spot else "",
        prose(some(effect.entries, len(effect.entries))),
    )


def _heading(change: Change, form: str, escaped: Callable[[str], str]) -> str:
    """What the effects of a change are of.

    Args:
        change: The change.
        form: Of a key, as code: HTML in the summary of a fold, where Markdown is not read.
        escaped: Makes a key harmless there.
    """
    if change.cause is None:
        return f"{name_of(change).capitalize()} ({plural(change.num_effects, 'row')})"
    return f"{plural(change.num_effects, 'effect').capitalize()} of {form.format(escaped(change.cause.key))}"


def _html(text: str) -> str:
    """A text in HTML, each character that could format, mention or link as its number.

    >>> _html("a<b>@c")
    'a&#60;b&#62;&#64;c'
    """
    return "".join(one if one.isalnum() or one in " .-=" else f"&#{ord(one)};" for one in text)


def _acceptance(change: Change) -> tuple[str, str, str]:
    accepted = change.accepted
    assert accepted is not None
    return prose(accepted.reason), code(accepted.author), "in this change" if accepted.arrives else "before"


def _folded(summary: str, lines: Iterable[str]) -> Iterator[str]:
    yield from ("", f"<details><summary>{summary}</summary>", *lines, "", "</details>")


def _chunks(changes: Sequence[Change]) -> Iterator[tuple[int, Sequence[Change]]]:
    for start in range(0, len(changes), MAX_ROWS):
        part = changes[start : start + MAX_ROWS]
        yield len(part), part


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(header)
    yield from ("", f"| {' | '.join(names)} |", "|" + " --- |" * len(names))
    for row in rows:
        yield f"| {' | '.join(map(cell, row))} |"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
