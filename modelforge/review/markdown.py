"""A diff as Markdown for a pull request. Every name and value is code, so nothing in a config can format or mention."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from modelforge.core.words import printable
from modelforge.review import review_words as words
from modelforge.review.diff_words import causes, layer_groups, layer_lines, summary, totals
from modelforge.review.model_changes import Changes
from modelforge.review.review import Review


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
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
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
    old, new = map(code, words.sides(review))
    yield f"### {old} → {new}{both}"
    for note in review.notes:
        yield from ("", _prose(note))
    yield ""
    verdict, compared = words.verdict(review), words.compared(review)
    yield from _sentences([verdict] if verdict else [])
    yield from [""] if verdict and compared else []
    yield from _sentences(compared)
    if found := [(mark, code(label), _prose(text)) for mark, label, text in words.arrivals(review)]:
        yield from _table(("", "composition", ""), found)
    if files := words.files(review):
        cells = ((file.mark, code(file.path), "<br>".join(_file_lines(file))) for file in files)
        yield from _section("Files", ("", "file", ""), cells)
    for section, rows in words.sections(review).items():
        header = ("value", "change", "where", "compositions")
        cells = (
            (code(row.name), code(row.words), code(row.place), _prose(words.where_labels(row.labels, review)))
            for row in rows
        )
        yield from _section(section.capitalize(), header, cells)
    for model in words.models(review):
        if len(review.entries) > 1:
            yield from ("", f"#### The model of {_prose(words.listed(model.labels))}")
        yield ""
        yield from _model(model.diff)


def _sentences(lines: Iterable[str]) -> Iterator[str]:
    return (f"{_prose(line[0].upper() + line[1:])}." for line in lines)


def _file_lines(file: words.FileLine) -> Iterator[str]:
    if file.words:
        yield _prose(file.words)
    for key, change, place in file.edits:
        yield f"{code(key)} {code(change)}" + (f" in {code(place)}" if place else "")


def _prose(text: str) -> str:
    """A sentence with names from configs in it: words that could format, link or mention become code.

    Example:
        >>> _prose("in the default and model=lstm"), _prose("see @all")
        ('in the default and `model=lstm`', 'see `@\u200ball`')
    """
    parts = re.split(r"(`[^`]*`|\s+)", text)
    return "".join(code(part[1:-1]) if len(part) > 2 and part[0] == part[-1] == "`" else _word(part) for part in parts)


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
        yield from _section("Initial values", header, _parameters(diff))


def _layers(diff: Changes) -> Iterator[tuple[str, ...]]:
    for group in layer_groups(diff.layers):
        label = code(group.label) + _copies(group.count)
        yield group.first.kind, label, code(group.first.type), _stacked(layer_lines(group.first))


def _parameters(diff: Changes) -> Iterator[tuple[str, ...]]:
    for cause in causes(diff.parameters):
        for effect in cause.effects:
            label = code(effect.label) + _copies(effect.copies)
            cells = (code(effect.shape), code(effect.std), effect.ratio)
            yield effect.kind, label, *cells, _stacked(cause.lines)


def _copies(count: int) -> str:
    return f" ({count} alike)" if count > 1 else ""


def _stacked(lines: Iterable[tuple[str, str]]) -> str:
    """Changes with their places, one below the other in one cell."""
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
