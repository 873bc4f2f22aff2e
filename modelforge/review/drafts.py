"""drafts: a review → its causes, each with all that follows from it in the compositions that show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from modelforge.core.words import value
from modelforge.review.cause import TracedCause, Written
from modelforge.review.document import Effect
from modelforge.review.model_changes import Changes, LayerDiff, ParameterDiff
from modelforge.review.review import Review
from modelforge.review.rows import rows, value_rows
from modelforge.review.starts import is_fixed
from modelforge.review.value_words import MAX_VALUE
from modelforge.review.values import Path, ValueChange

UNPLANNED = frozenset({"model", "init", "choices"})
"""Sections whose values show in layers and parameters, or in the name of the option."""
REDRAWN = ("changed", "redrawn")
"""How a parameter of both sides differs that starts with other values."""


@dataclass
class Draft:
    """An edit, or several that work together, and all that follows."""

    edits: tuple[Written, ...]
    """Empty for differences that no edit explains."""
    labels: dict[str, None] = field(default_factory=dict[str, None])
    values: dict[Path, ValueChange] = field(default_factory=dict[Path, ValueChange])
    """The composed values at the edited keys."""
    effects: dict[Effect, dict[str, None]] = field(default_factory=dict[Effect, dict[str, None]])
    layers: dict[str, str] = field(default_factory=dict[str, str])
    """How each layer differs by path: `added`, `removed`, `renamed`, `moved` or `changed`."""
    parameters: dict[str, str] = field(default_factory=dict[str, str])
    """How each parameter differs: `added`, `removed`, `redrawn` or `changed`."""
    totals: set[str] = field(default_factory=set[str])
    """Facts about the whole model that differ."""
    unplanned: bool = False
    """Whether no composition that shows it has a plan, on either side."""

    @property
    def edit(self) -> Written | None:
        """The edit, where it is one."""
        return self.edits[0] if len(self.edits) == 1 else None

    @property
    def path(self) -> Path:
        """The path of the edited value in the composed config; of one that no composition has, the path in its file."""
        if self.edit is None:
            return next(iter(self.values), ("model",))
        own = self.edit.change.path
        for path in self.values:
            for start in range(len(path)):
                if own and path[start : start + len(own)] == own:
                    return path[: start + len(own)]
        if self.values and self.edit.kind in ("override", "file", "defaults"):
            return _common([*self.values])
        return own or tuple(self.edit.file.split("/")[:1]) or ("model",)

    @property
    def choice(self) -> ValueChange | None:
        """The chosen option that the edit, or an override, changes; None for any other edit."""
        chosen = [change for path, change in self.values.items() if path[0] == "choices"]
        own = self.edit is not None and self.edit.kind in ("override", "defaults")
        return chosen[0] if own and len(chosen) == 1 else None

    @property
    def num_redrawn(self) -> int:
        """Parameters of both sides that start differently."""
        return sum(kind in REDRAWN for kind in self.parameters.values())

    @property
    def holds_values(self) -> bool:
        """Whether several composed values differ, and the edit's own values in words are too long to say which."""
        edit = self.edit
        written = (edit.change.old, edit.change.new) if edit and edit.kind == "value" else ()
        says_all = bool(written) and all(len(value(side)) <= MAX_VALUE for side in written)
        return len(self.values) > 1 and not says_all

    def add(
        self, labels: Sequence[str], values: Sequence[ValueChange], derived: Sequence[ValueChange], diff: Changes | None
    ):
        """Takes in what follows in some compositions."""
        self.labels |= dict.fromkeys(labels)
        self.values |= {change.path: change for change in values}
        for effect in self._rows(values, derived, diff):
            self.effects.setdefault(effect, {}).update(dict.fromkeys(labels))
        if diff is not None:
            self.layers |= {layer.path: _of_layer(layer) for layer in diff.layers if layer.differs_itself}
            for item in diff.parameters:
                # Of several models that name it, one in which it starts differently decides.
                if self.parameters.get(item.path) not in REDRAWN:
                    self.parameters[item.path] = _of_parameter(item)
            self.totals |= {change.name for change in diff.totals}

    def _rows(
        self, values: Sequence[ValueChange], derived: Sequence[ValueChange], diff: Changes | None
    ) -> Iterator[Effect]:
        whole = self.edit is None or self.edit.kind in ("file", "defaults") or (len(values) > 1 and self.holds_values)
        shown = [change for change in values if whole and change.path[0] not in UNPLANNED]
        if diff is not None:
            yield from rows(diff, self.edit.change if self.edit else None)
        yield from value_rows([*shown, *derived])

    def shown(self) -> Iterator[tuple[Effect, tuple[str, ...]]]:
        """Its effects, each with the compositions that show it, unless those are the draft's."""
        for effect, labels in self.effects.items():
            yield effect, () if len(labels) == len(self.labels) else tuple(labels)


def drafts(review: Review) -> list[Draft]:
    """Every edit that a composition shows, and what is left of the models that differ."""
    found = [draft for cause in review.causes if (draft := _draft(cause)) is not None]
    explained = {label for cause in review.causes for label in cause.labels}
    for entry in review.entries:
        if entry.kind == "changed" and not entry.broken and not entry.same and entry.label not in explained:
            rest = Draft(())
            rest.add([entry.label], entry.values, (), entry.diff)
            found.append(rest)
    unplanned = {entry.label for entry in review.entries if entry.broken == "both"}
    for draft in found:
        draft.unplanned = draft.labels.keys() <= unplanned
    return found


def _draft(cause: TracedCause) -> Draft | None:
    """What a cause does to compositions of both sides; None where it does nothing to them."""
    outcomes = [outcome for outcome in cause.outcomes if not outcome.arrival]
    if not outcomes:
        return None
    draft = Draft(cause.edits)
    for outcome in outcomes:
        draft.add(outcome.labels, outcome.values, outcome.derived, outcome.diff)
    return draft


def _of_layer(layer: LayerDiff) -> str:
    if layer.kind == "changed" and layer.old_path and all(change.name == "output" for change in layer.changes):
        return "moved" if layer.moved else "renamed"
    return layer.kind


def _of_parameter(item: ParameterDiff) -> str:
    """Under another name a parameter gets other values of the same distribution, unless its values are fixed."""
    if item.kind != "changed" or item.changes:
        return item.kind
    return "renamed" if is_fixed(item.shown) else "redrawn"


def _common(paths: Sequence[Path]) -> Path:
    """The path that all share; at least the first part of the first."""
    length = next((i for i, parts in enumerate(zip(*paths, strict=False)) if len(set(parts)) > 1), len(min(paths)))
    return paths[0][: max(length, 1)]
