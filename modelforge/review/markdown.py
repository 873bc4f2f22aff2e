"""A diff as Markdown for a pull request. Every name and value is code, so nothing in a config can format or mention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from modelforge.report.words import printable
from modelforge.review.diff import Diff
from modelforge.review.wording import causes, layer_groups, layer_lines, summary, totals


def to_markdown(diff: Diff, old: str = "old", new: str = "new") -> str:
    """The diff as GitHub-flavoured Markdown.

    Args:
        diff: What to show.
        old: What to call the old side.
        new: What to call the new side.
    """
    return "\n".join(_lines(diff, old, new)) + "\n"


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


def _lines(diff: Diff, old: str, new: str) -> Iterator[str]:
    yield f"### {code(old)} → {code(new)}"
    yield ""
    if diff.equal:
        yield "No difference."
        return
    yield f"{summary(diff)}."
    if diff.totals:
        yield from _table(
            ("", "change", "where"), ((name, code(change), code(at)) for name, change, at in totals(diff))
        )
    if diff.layers:
        yield from _section("Layers", ("", "layer", "type", "change"), _layers(diff))
    if diff.parameters:
        header = ("", "parameter", "shape", "std", "ratio", "because")
        yield from _section("How parameters start", header, _parameters(diff))


def _layers(diff: Diff) -> Iterator[tuple[str, ...]]:
    for group in layer_groups(diff.layers):
        label = code(group.label) + _copies(group.count)
        yield group.first.kind, label, code(group.first.type), _stacked(layer_lines(group.first))


def _parameters(diff: Diff) -> Iterator[tuple[str, ...]]:
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
