"""A whole review for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.report.aligned import Aligned, Wrapped
from modelforge.review import told
from modelforge.review.diff_text import STYLES, model_text
from modelforge.review.review import Review
from modelforge.review.wording import summary

MAX_MODELS = 8
"""Models whose differences are told in full."""


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
            parts += model_text(model.diff, 2 * named)
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
