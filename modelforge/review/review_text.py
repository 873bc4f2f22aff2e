"""A whole review for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.core.words import printable
from modelforge.report.aligned import Aligned, Wrapped
from modelforge.review import review_words as words
from modelforge.review.diff_text import STYLES, model_text
from modelforge.review.diff_words import summary
from modelforge.review.review import Review

MAX_MODELS = 8
"""Models whose differences are shown in full."""


def review_text(review: Review) -> RenderableType:
    """What was compared, then files, values and models that differ; changes that are equal in several once."""
    both = f", both with {' '.join(review.overrides)}" if review.overrides else ""
    parts: list[RenderableType] = [Wrapped(Text(printable(" → ".join(words.sides(review)) + both), "bold"))]
    parts += [Wrapped(Text(note, "yellow")) for note in review.notes]
    if verdict := words.verdict(review):
        parts.append(Wrapped(Text(verdict)))
    parts += [Wrapped(Text(line, "dim")) for line in words.compared(review)]
    arrivals = [[Text(mark, STYLES[mark]), Text(label), Text(text)] for mark, label, text in words.arrivals(review)]
    parts += _titled("", arrivals, wraps=True)
    if files := words.files(review):
        parts += [Text(), Text("files", "bold")]
    for file in files:
        row = [Text(file.mark, STYLES[file.mark]), Text(file.path), Text(file.words, "dim")]
        parts.append(Aligned([row], indent=2, stages=(2,), wraps=True))
        edits = [[Text(key), Text(change), Text(place, "dim")] for key, change, place in file.edits]
        parts.append(Aligned(edits, indent=6, stages=(2,)))
    for section, rows in words.sections(review).items():
        cells = (
            [Text(row.name, "bold"), Text(row.words), Text(row.place, "dim"), Text(where)]
            for row in rows
            for where in [words.where_labels(row.labels, review)]
        )
        parts += _titled(section, cells)
    named = len(review.entries) > 1
    for index, model in enumerate(words.models(review)):
        if named:
            parts += [Text(), Wrapped(Text(f"the model of {words.listed(model.labels)}", "bold underline"))]
        if index < MAX_MODELS:
            parts += model_text(model.diff, 2 * named)
        else:
            parts.append(Wrapped(Text(summary(model.diff), "dim"), 2))
    return Group(*parts)


def _titled(title: str, cells: Iterable[list[Text]], *, wraps: bool = False) -> list[RenderableType]:
    rows = list(cells)
    if not rows:
        return []
    heading = [Text(title, "bold")] if title else []
    return [Text(), *heading, Aligned(rows, indent=2 if title else 0, stages=(3, 2), wraps=wraps)]
