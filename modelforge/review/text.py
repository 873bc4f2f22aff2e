"""A diff, or a whole review, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.core.words import printable
from modelforge.report.aligned import Aligned, Wrapped
from modelforge.review import told
from modelforge.review.diff import Diff
from modelforge.review.review import Review
from modelforge.review.wording import MARKS, Cause, causes, layer_groups, layer_lines, summary, totals

STYLES = {"+": "green", "-": "red", "~": "yellow", "!": "bold red"}
MAX_MODELS = 8
"""Models whose differences are told in full."""


def diff_text(diff: Diff, old: str = "old", new: str = "new") -> RenderableType:
    """The diff as sections: the whole, layers, and how parameters start, each change with its lines.

    Args:
        diff: What to show.
        old: What to call the old side.
        new: What to call the new side.
    """
    head = Text.assemble((printable(old), "bold red"), " → ", (printable(new), "bold green"))
    if diff.equal:
        return Group(head, Text("no difference"))
    return Group(head, *_model(diff, 0))


def review_text(review: Review) -> RenderableType:
    """The review: what was compared, then files, values and models that differ, each alike change once."""
    parts: list[RenderableType] = [Wrapped(Text(told.headline(review), "bold"))]
    parts += [Wrapped(Text(note, "yellow")) for note in review.notes]
    if words := told.verdict(review):
        parts.append(Wrapped(Text(words)))
    parts += [Wrapped(Text(line, "dim")) for line in told.compared(review) if review.files or not review.equal]
    parts += _titled(
        "",
        [(Text(mark, STYLES[mark]), Text(label), Text(words)) for mark, label, words in told.arrivals(review)],
        wraps=True,
    )
    parts += _files(review)
    for section, rows in told.sections(told.rows(review)).items():
        cells = [
            (
                Text(row.name, "bold"),
                Text(row.words),
                Text(row.place, "dim"),
                Text(told.where_labels(row.labels, review)),
            )
            for row in rows
        ]
        parts += _titled(section, cells)
    found = told.models(review)
    for index, model in enumerate(found):
        named = len(review.entries) > 1
        title = f"the model of {told.listed(model.labels)}" if named else ""
        if named:
            parts += [Text(), Wrapped(Text(title, "bold underline"))]
        if index < MAX_MODELS:
            parts += _model(model.diff, 2 * named)
        else:
            parts.append(Wrapped(Text(summary(model.diff), "dim"), 2))
    return Group(*parts)


def _files(review: Review) -> Iterator[RenderableType]:
    if review.equal or not review.files:
        return
    yield Text()
    yield Text("files", "bold")
    for note, (mark, path, words) in zip(review.files, told.file_lines(review), strict=True):
        yield Aligned([[Text(mark, STYLES[mark]), Text(path), Text(words, "dim")]], indent=2, stages=(2,), wraps=True)
        cells = [[Text(key), Text(change), Text(place, "dim")] for key, change, place in told.edit_lines(note)]
        yield Aligned(cells, indent=6, stages=(2,))


def _titled(title: str, cells: Iterable[Iterable[Text]], *, wraps: bool = False) -> list[RenderableType]:
    rows = [list(row) for row in cells]
    if not rows:
        return []
    heading = [Text(title, "bold")] if title else []
    return [Text(), *heading, Aligned(rows, indent=2 if title else 0, stages=(3, 2), wraps=wraps)]


def _model(diff: Diff, indent: int) -> Iterator[RenderableType]:
    if diff.totals:
        yield Text()
        yield Aligned(
            [[Text(name, "bold"), Text(change), Text(place, "dim")] for name, change, place in totals(diff)], indent
        )
    if diff.layers:
        yield Text()
        yield Text(" " * indent + "layers", "bold")
        yield Aligned(list(_layers(diff)), indent + 2, stages=(4, 3))
    if diff.parameters:
        yield Text()
        yield Text(" " * indent + "how parameters start", "bold")
        for index, cause in enumerate(causes(diff.parameters)):
            if index:
                yield Text()
            yield from _cause(cause, indent + 2)
    if diff.left_out:
        yield Text()
        yield Wrapped(Text(diff.left_out, "yellow"), indent)
    yield Text()
    yield Wrapped(Text(summary(diff), "dim"), indent)


def _layers(diff: Diff) -> Iterator[list[Text]]:
    for group in layer_groups(diff.layers):
        mark = MARKS[group.first.kind]
        cells = [Text(mark, STYLES[mark]), Text(_counted(group.label, group.count)), Text(group.first.type, "cyan")]
        for change, place in layer_lines(group.first):
            yield [*cells, Text(change), Text(place, "dim")]
            cells = [Text()] * 3


def _cause(cause: Cause, indent: int) -> Iterator[RenderableType]:
    yield Aligned([[Text(reason, "bold"), Text(place, "dim")] for reason, place in cause.lines], indent)
    effects = [
        [
            Text(effect.mark, STYLES[effect.mark]),
            Text(_counted(effect.label, effect.copies)),
            Text(effect.shape, "dim"),
            Text(effect.std),
            Text(effect.ratio),
        ]
        for effect in cause.effects
    ]
    yield Aligned(effects, indent + 2, stages=(2,))


def _counted(label: str, copies: int) -> str:
    label = printable(label)
    return f"{label} ({copies} alike)" if copies > 1 else label
