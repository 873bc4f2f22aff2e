"""explained: the difference of two plans → causes, made of the facts that differ: of plans no file is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from modelforge.review.cause import Outcome, TracedCause, Written
from modelforge.review.model_changes import Changes, LayerDiff, ParameterDiff
from modelforge.review.values import ValueChange, exact


@dataclass
class _Fact:
    """A fact that differs, and what differs with it."""

    edit: ValueChange | None
    layers: list[LayerDiff] = field(default_factory=list[LayerDiff])
    parameters: list[ParameterDiff] = field(default_factory=list[ParameterDiff])
    totals: list[ValueChange] = field(default_factory=list[ValueChange])


def explained(changes: Changes, label: str) -> tuple[TracedCause, ...]:
    """The differences by the first fact that a config states in each: an argument, a scheme, a gain.

    Args:
        changes: What differs.
        label: What to call the model.
    """
    found: dict[str, _Fact] = {}

    def of(key: str, facts: Iterable[ValueChange]) -> _Fact:
        stated = next((fact for fact in facts if fact.name != "rule" and (fact.old_place or fact.new_place)), None)
        if stated is None:
            return found.setdefault("", _Fact(None))
        edit = _edit(key, stated)
        return found.setdefault(exact([edit.name, edit.old, edit.new]), _Fact(edit))

    for layer in changes.layers:
        side = layer.new or layer.old
        assert side is not None
        of(side.key, layer.changes).layers.append(layer)
    for item in changes.parameters:
        of(item.shown.rule.key, item.causes).parameters.append(item)
    for total in changes.totals:
        if total.name in ("seed", "dtype"):
            found.setdefault(total.name, _Fact(replace(total, path=(total.name,)))).totals.append(total)
        else:
            found.setdefault("", _Fact(None)).totals.append(total)
    return tuple(_cause(fact, changes, label) for fact in found.values())


def _edit(key: str, fact: ValueChange) -> ValueChange:
    name = f"{key}.{fact.name}"
    return replace(fact, name=name, path=tuple(name.split(".")))


def _cause(fact: _Fact, changes: Changes, label: str) -> TracedCause:
    part = replace(
        changes, layers=tuple(fact.layers), parameters=tuple(fact.parameters), totals=tuple(fact.totals), left=()
    )
    edits: Sequence[Written] = [Written("value", "", fact.edit)] if fact.edit else []
    return TracedCause(tuple(edits), (Outcome((label,), diff=part),))
