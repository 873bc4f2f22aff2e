"""A diff of two plans for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.core.words import printable
from modelforge.report.aligned import Aligned, Wrapped
from modelforge.review.diff_words import MARKS, Cause, causes, layer_groups, layer_lines, summary, totals
from modelforge.review.model_changes import Changes

STYLES = {"+": "green", "-": "red", "~": "yellow", "!": "bold red"}


def diff_text(diff: Changes, old: str = "old", new: str = "new") -> RenderableType:
    """The diff in sections: the whole model, layers, and initial values.

    Args:
        diff: What to show.
        old: What to call the old side.
        new: What to call the new side.
    """
    head = Text.assemble((printable(old), "bold red"), " → ", (printable(new), "bold green"))
    if diff.equal:
        return Group(head, Text("no difference"))
    return Group(head, *model_text(diff, 0))


def model_text(diff: Changes, indent: int) -> Iterator[RenderableType]:
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
        yield Text(" " * indent + "initial values", "bold")
        for index, cause in enumerate(causes(diff.parameters)):
            if index:
                yield Text()
            yield from _cause(cause, indent + 2)
    if diff.left_out:
        yield Text()
        yield Wrapped(Text(diff.left_out, "yellow"), indent)
    yield Text()
    yield Wrapped(Text(summary(diff), "dim"), indent)


def _layers(diff: Changes) -> Iterator[list[Text]]:
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
            Text(MARKS[effect.kind], STYLES[MARKS[effect.kind]]),
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
