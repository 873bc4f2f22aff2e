"""A diff as Markdown for a pull request. Every name and value is code, so nothing in a config can format or mention."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from modelforge.core.words import printable
from modelforge.review import told
from modelforge.review.changes import Changes
from modelforge.review.review import Review
from modelforge.review.wording import causes, layer_groups, layer_lines, summary, totals


def to_markdown(diff: Changes, old: str = "old", new: str = "new") -> str:
    """The diff as GitHub-flavoured Markdown.

    Args:
        diff: What to show.
        old: What to call the old side.
        new: What to call the new side.
    """
    return "\n".join(_lines(diff, old, new)) + "\n"


_PLAIN = re.compile(r"(?!.*(?:_|://|www\.))[\w.,;:!?'()/→²-]*")
"""A word that can neither format, link nor mention."""


def review_markdown(review: Review) -> str:
    """The review as GitHub-flavoured Markdown."""
    return "\n".join(_review_lines(review)) + "\n"


def code(text: str) -> str:
    """Any text as one Markdown code span that is safe in a table cell.

    A line break becomes a space, a pipe is escaped, the fence is longer than any run of backticks inside, and `@` is
    followed by a zero-width space, so that nobody is notified.

    Example:
        >>> code("a|b"), code("a`b"), code("")
        ('`a\\\\|b`', '`` a`b ``', '')
    """
    text = printable(" ".join(text.split())).replace("|", "\\|").replace("@", "@\u200b")
    if not text:
        return ""
    fence = "`" * (1 + max(map(len, _runs(text, "`")), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def _lines(diff: Changes, old: str, new: str) -> Iterator[str]:
    yield f"### {code(old)} → {code(new)}"
    yield ""
    if diff.equal:
        yield "No difference."
        return
    yield from _model(diff)


def _review_lines(review: Review) -> Iterator[str]:
    both = f", both with {code(' '.join(review.overrides))}" if review.overrides else ""
    yield f"### {code(review.old)} → {code(review.new)}{both}"
    for note in review.notes:
        yield from ("", _prose(note))
    yield ""
    if words := told.verdict(review):
        yield from (f"{_prose(words[0].upper() + words[1:])}.", *([""] if review.files or not review.equal else []))
    if review.files or not review.equal:
        yield from (f"{_prose(line[0].upper() + line[1:])}." for line in told.compared(review))
    if found := [(mark, code(label), _prose(words)) for mark, label, words in told.arrivals(review)]:
        yield from _table(("", "composition", ""), found)
    if review.files and not review.equal:
        yield from _section("Files", ("", "file", ""), _files(review))
    for section, rows in told.sections(told.rows(review)).items():
        header = ("value", "change", "where", "compositions")
        cells = (
            (code(row.name), code(row.words), code(row.place), _prose(told.where_labels(row.labels, review)))
            for row in rows
        )
        yield from _section(section.capitalize(), header, cells)
    for model in told.models(review):
        if len(review.entries) > 1:
            yield from ("", f"#### The model of {_prose(told.listed(model.labels))}")
        yield ""
        yield from _model(model.diff)


def _files(review: Review) -> Iterator[tuple[str, ...]]:
    for note, (mark, path, words) in zip(review.files, told.file_lines(review), strict=True):
        edits = [
            f"{code(key)} {code(change)}" + (f" in {code(place)}" if place else "")
            for key, change, place in told.edit_lines(note)
        ]
        yield mark, code(path), "<br>".join(filter(None, (_prose(words), *edits)))


def _prose(text: str) -> str:
    """Words of ours around names from configs: what could format or mention is code.

    Example:
        >>> _prose("in the default and model=lstm"), _prose("see @all")
        ('in the default and `model=lstm`', 'see `@\u200ball`')
    """
    words = re.split(r"(`[^`]*`|\s+)", text)
    return "".join(code(word[1:-1]) if len(word) > 2 and word[0] == word[-1] == "`" else _word(word) for word in words)


def _word(word: str) -> str:
    if not word or word.isspace() or _PLAIN.fullmatch(word):
        return word
    core = word.rstrip(",;:.)")
    front = core.lstrip("(")
    return word[: len(core) - len(front)] + code(front) + word[len(core) :]


def _model(diff: Changes) -> Iterator[str]:
    yield f"{summary(diff)}."
    if diff.left_out:
        yield from ("", f"{_prose(diff.left_out)}.")
    if diff.totals:
        yield from _table(
            ("", "change", "where"), ((name, code(change), code(at)) for name, change, at in totals(diff))
        )
    if diff.layers:
        yield from _section("Layers", ("", "layer", "type", "change"), _layers(diff))
    if diff.parameters:
        header = ("", "parameter", "shape", "std", "ratio", "because")
        yield from _section("How parameters start", header, _parameters(diff))


def _layers(diff: Changes) -> Iterator[tuple[str, ...]]:
    for group in layer_groups(diff.layers):
        label = code(group.label) + _copies(group.count)
        yield group.first.kind, label, code(group.first.type), _stacked(layer_lines(group.first))


def _parameters(diff: Changes) -> Iterator[tuple[str, ...]]:
    kinds = {"+": "added", "-": "removed", "~": "changed"}
    for cause in causes(diff.parameters):
        for effect in cause.effects:
            label = code(effect.label) + _copies(effect.copies)
            cells = (code(effect.shape), code(effect.std), effect.ratio)
            yield kinds[effect.mark], label, *cells, _stacked(cause.lines)


def _copies(count: int) -> str:
    return f" ({count} alike)" if count > 1 else ""


def _stacked(lines: Iterable[tuple[str, str]]) -> str:
    """What and where, one below the other in one cell."""
    return "<br>".join(f"{code(what)} in {code(place)}" if place else code(what) for what, place in lines)


def _section(title: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield from ("", f"**{title}**")
    yield from _table(header, rows)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(header)} |"
    yield "|" + " --- |" * len(header)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _runs(text: str, letter: str) -> Iterator[str]:
    run = ""
    for character in text + " ":
        if character == letter:
            run += letter
        elif run:
            yield run
            run = ""
