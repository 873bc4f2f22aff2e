"""attribution: the comparison of one composition → the edited values, each with the layers and parameters that follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelforge.review.model_changes import LayerDiff, ParameterDiff
from modelforge.review.review import EntryDiff
from modelforge.review.values import ABSENT, Change, exact

Spots = frozenset[tuple[str, str | None, int, int, str | None]]


@dataclass
class Edit:
    """An edited value; of a whole layer, or of a chosen option, all values below it."""

    change: Change | None
    """None for what follows from no edit that is known."""
    values: list[Change] = field(default_factory=list[Change])
    """The values that it stands for."""
    layers: list[LayerDiff] = field(default_factory=list[LayerDiff])
    parameters: list[ParameterDiff] = field(default_factory=list[ParameterDiff])
    totals: list[Change] = field(default_factory=list[Change])
    whole_layer: bool = False


def edits(entry: EntryDiff) -> list[Edit]:
    """The edits of a composition, in the order of its values."""
    waiting = {change.path: change for change in entry.values}
    found = [*_choices(waiting), *_whole_layers(entry, waiting)]
    found += [Edit(change, [change]) for change in waiting.values()]
    if entry.diff is not None:
        rest = Edit(None)
        _Attribution(found, rest).attribute(entry)
        found += _explained(rest)
    return [edit for edit in found if edit.change or edit.layers or edit.parameters or edit.totals]


def _choices(waiting: dict[tuple[str, ...], Change]) -> Iterator[Edit]:
    """Other options of config groups: the values of such a group are the options'."""
    for path in [path for path in waiting if path[0] == "choices"]:
        choice, group = waiting.pop(path), path[-1].partition("/")[0]
        below = [waiting.pop(path) for path in list(waiting) if path[0] == group and "/" not in choice.path[-1]]
        yield Edit(choice, below)


def _whole_layers(entry: EntryDiff, waiting: dict[tuple[str, ...], Change]) -> Iterator[Edit]:
    """Layers that one side alone writes: one edit each, and not one for each argument."""
    layers = entry.diff.layers if entry.diff else ()
    alone = {layer.path for layer in layers if layer.kind != "changed"}
    for layer in layers:
        if layer.kind == "changed" or layer.path.rpartition(".")[0] in alone:
            continue
        side = layer.new or layer.old
        assert side is not None
        below = [change for change in waiting.values() if _is_below(change.name, side.key)]
        missing = [change.old if layer.kind == "added" else change.new for change in below]
        if not below or any(value is not ABSENT for value in missing):
            continue
        for change in below:
            del waiting[change.path]
        whole = {change.name[len(side.key) + 1 :] or "type": (change.old, change.new) for change in below}
        old = ABSENT if layer.kind == "added" else {name: pair[0] for name, pair in whole.items()}
        new = ABSENT if layer.kind == "removed" else {name: pair[1] for name, pair in whole.items()}
        at = (None, layer.place) if layer.kind == "added" else (layer.place, None)
        yield Edit(Change(side.key, old, new, *at, path=tuple(side.key.split("."))), below, whole_layer=True)


def _explained(rest: Edit) -> Iterator[Edit]:
    """What follows from no value that differs, as between two plans: by the facts that differ in it."""
    found: dict[str, Edit] = {}
    for layer in rest.layers:
        side = layer.new or layer.old
        assert side is not None
        own = [change for change in layer.changes if change.name != "output"]
        found.setdefault(*_explanation(side.key, own)).layers.append(layer)
    for item in rest.parameters:
        key = item.shown.rule.key if item.kind == "changed" else item.shown.key
        found.setdefault(*_explanation(key, item.causes)).parameters.append(item)
    if rest.totals:
        found.setdefault("", Edit(None)).totals += rest.totals
    yield from found.values()


def _explanation(key: str, facts: Sequence[Change]) -> tuple[str, Edit]:
    """The first fact that differs, as an edit of its key."""
    fact = next((fact for fact in facts if fact.name != "rule"), None)
    if fact is None:
        return "", Edit(None)
    name = f"{key}.{fact.name}"
    change = Change(name, fact.old, fact.new, fact.old_place, fact.new_place, tuple(name.split(".")))
    return exact([name, fact.old, fact.new]), Edit(change, [change])


class _Attribution:
    """Which edit each difference of two models follows from: the one at its place, at its key, or of its layer."""

    def __init__(self, found: list[Edit], rest: Edit) -> None:
        self.found, self.rest = found, rest
        self.spots = [
            (edit, frozenset[Any]().union(*map(_spots, edit.values)))
            for edit in found
        ]
        self.by_layer: dict[str, Edit] = {}

    def attribute(self, entry: EntryDiff) -> None:
        diff = entry.diff
        assert diff is not None
        own = [layer for layer in diff.layers if layer.differs_itself]
        for layer in own:
            side = layer.new or layer.old
            assert side is not None
            edit = self._at(layer.changes) or self._by_key(side.key) or self._above(layer.path)
            self.by_layer[layer.path] = edit or self.rest
        first = next(iter(self.by_layer.values()), None)
        for layer in diff.layers:
            (self.by_layer.get(layer.path) or self._above(layer.path) or first or self.rest).layers.append(layer)
        seed = next((edit for edit in self.found if edit.change and edit.change.path == ("seed",)), None)
        for item in diff.parameters:
            self._of_parameter(item, first or self.rest).parameters.append(item)
        for total in diff.totals:
            at = seed if total.name == "seed" else self._at([total])
            (at or self._by_key(f"model.{total.name}") or first or self.rest).totals.append(total)

    def _of_parameter(self, item: ParameterDiff, otherwise: Edit) -> Edit:
        reshaped = item.kind != "changed" or item.change("shape") is not None
        own, above = self._at(item.causes), self._above(item.path)
        rule = self._by_key(item.shown.rule.key) if item.kind == "changed" else None
        order = (above, own, rule) if reshaped else (own, rule, above)
        return next((edit for edit in order if edit is not None), otherwise)

    def _at(self, changes: Iterable[Change]) -> Edit | None:
        """The edit that is written where one of these facts is."""
        wanted = frozenset[Any]().union(*map(_spots, changes))
        return next((edit for edit, spots in self.spots if wanted & spots), None)

    def _by_key(self, key: str) -> Edit | None:
        """The edit below a key, or the nearest one above it; a chosen option last."""
        written = [(edit, edit.change.name) for edit in self.found if edit.change and edit.change.path[0] != "choices"]
        below = next((edit for edit, name in written if _is_below(name, key)), None)
        above = [(len(name), edit) for edit, name in written if _is_below(key, name)]
        chosen = (edit for edit in self.found if edit.change and edit.change.path == ("choices", key.partition(".")[0]))
        return below or (max(above, key=lambda pair: pair[0])[1] if above else next(chosen, None))

    def _above(self, path: str) -> Edit | None:
        """The edit of the nearest layer around a layer or parameter."""
        while path:
            path = path.rpartition(".")[0]
            if path in self.by_layer:
                return self.by_layer[path]
        return None


def _is_below(name: str, key: str) -> bool:
    return name == key or name.startswith(f"{key}.")


def _spots(change: Change) -> Spots:
    """Where each side writes a value, both ends of an interpolation."""
    found: set[tuple[str, str | None, int, int, str | None]] = set()
    for side, place in (("old", change.old_place), ("new", change.new_place)):
        while place is not None:
            found.add((side, place.file, place.line, place.column, place.override))
            place = place.via
    return frozenset(found)
