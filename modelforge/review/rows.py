"""rows: layers, parameters and facts that differ → the effects of an edit, equal copies together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from modelforge.core.errors import Place
from modelforge.core.words import cut, printable, shape, value, where
from modelforge.review.diff_words import MARKS, change_words, layer_groups, layer_lines, sizes, total
from modelforge.review.document import MAX_TEXT, Effect, Spot
from modelforge.review.groups import grouped
from modelforge.review.model_changes import Changes, ParameterDiff
from modelforge.review.value_words import arrow, pair
from modelforge.review.values import ABSENT, ValueChange


def rows(changes: Changes, written: ValueChange | None = None) -> Iterator[Effect]:
    """What differs in a model: layers, facts about all of it, parameters, and what other shapes go through at last.

    Args:
        changes: What differs.
        written: The edit that it follows from: what it says itself is not repeated.
    """
    said = _said(written)
    for group in layer_groups([layer for layer in changes.layers if layer.differs_itself]):
        layer = group.first
        lines = [words for words, _ in layer_lines(layer) if words not in said]
        yield Effect(
            mark=MARKS[layer.kind],
            subject="layer",
            name=bounded(group.label),
            copies=group.count,
            type=bounded(layer.type),
            words=bounded("; ".join(lines)),
            spot=spot(layer.place),
        )
    for name, words in map(total, changes.totals):
        if name not in ("parameters", "seed"):
            yield Effect(mark="~", subject="value", name=name, words=bounded(words))
    yield from _parameters(changes.parameters, said)
    for group in layer_groups([layer for layer in changes.layers if not layer.differs_itself]):
        words = bounded("; ".join(words for words, _ in layer_lines(group.first)))
        name, kind = bounded(group.label), bounded(group.first.type)
        yield Effect(mark="~", subject="layer", name=name, copies=group.count, type=kind, words=words)


def value_rows(values: Iterable[ValueChange]) -> Iterator[Effect]:
    """Composed values that differ, as rows."""
    for change in values:
        mark = "+" if change.old is ABSENT else "-" if change.new is ABSENT else "~"
        words = arrow(*pair(change.old, change.new))
        place = spot(change.new_place or change.old_place)
        yield Effect(mark=mark, subject="value", name=bounded(change.name), words=bounded(words), spot=place)


def _parameters(parameters: Sequence[ParameterDiff], said: Sequence[str]) -> Iterator[Effect]:
    for group in grouped(parameters, lambda item: item.path, lambda item: repr(_parameter(item, "", 1, said))):
        yield _parameter(group.first, group.label, group.count, said)


def _parameter(item: ParameterDiff, label: str, copies: int, said: Sequence[str]) -> Effect:
    reshaped, old, new = item.change("shape"), item.old, item.new
    sides = f"{shape(tuple(reshaped.old))} → {shape(tuple(reshaped.new))}" if reshaped else shape(item.shown.shape)
    return Effect(
        mark=MARKS[item.kind],
        subject="parameter",
        name=bounded(label),
        copies=copies,
        type=bounded(sides),
        words=bounded("; ".join(words for words in _reasons(item) if words not in said)),
        old_std=old.std if old else None,
        new_std=new.std if new else None,
        ratio=item.ratio if item.std_changed and item.ratio != float("inf") else None,
        spot=spot(item.shown.rule.place) if item.kind != "changed" and not item.shown.rule.default else None,
    )


def _reasons(item: ParameterDiff) -> Iterator[str]:
    """What differs in a parameter's rule."""
    if item.kind != "changed":
        yield f"{item.shown.scheme}, by {value(item.shown.rule.key)}"
        return
    if item.old_path:
        yield f"was {value(item.old_path)}"
    rescheme = item.change("scheme")
    for change in item.causes:
        if not (rescheme and (change.new is None or (change.name == "rule" and rescheme.new_place))):
            yield change_words(change)
    if not rescheme:
        yield from sizes(item)
    if (dtype := item.change("dtype")) is not None:
        yield f"as {dtype.new} in place of {dtype.old}"


def _said(written: ValueChange | None) -> tuple[str, ...]:
    """What an edit says itself: `gain 1 → 1.4` of one of `init.gain`."""
    return (
        ()
        if written is None or not written.path
        else (change_words(ValueChange(written.path[-1], written.old, written.new)),)
    )


def spot(place: Place | None) -> Spot | None:
    """Where something is written; of an interpolation the end that holds the value."""
    if place is None:
        return None
    end = place
    while end.via is not None:
        end = end.via
    file = bounded(printable(end.file)) if end.file and end.override is None else ""
    return Spot(words=bounded(where(place)), file=file, line=end.line if file else 0, column=end.column if file else 0)


def bounded(text: str) -> str:
    """A text that a document may hold: of a long one both ends, and nothing that cannot be seen."""
    return cut(printable(text), MAX_TEXT)
