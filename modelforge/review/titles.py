"""kind_of, title: an edit and what follows from it → its kind, and one line that says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from modelforge.core.words import plural, value
from modelforge.review.drafts import Draft
from modelforge.review.model_changes import Kind
from modelforge.review.value_words import arrow, pair
from modelforge.review.values import ABSENT

TRAINING = frozenset({"optimizer", "scheduler", "freeze", "trainer", "callbacks", "num_threads", "ckpt", "metrics"})
"""Sections of a config that say how a model is trained; with `data` and `optimized_metric`."""
FACTS: Mapping[str, str] = {
    "inputs": "inputs-changed",
    "ties": "ties-changed",
    "buffers": "buffers-changed",
    "results": "outputs-changed",
    "result": "outputs-changed",
    "output": "outputs-changed",
}


def kind_of(draft: Draft) -> str:
    """The name of its kind, see `KINDS`."""
    path = draft.edit.path if draft.edit else ("model",)
    if path == ("seed",):
        return "seed-changed"
    if path[0] == "choices":
        return f"{path[-1]}-chosen" if path[-1] in ("model", "init") else "option-chosen"
    if draft.layers:
        kinds = set(draft.layers.values()) if not draft.whole_layer else {_side(draft)}
        return f"layer-{kinds.pop()}" if len(kinds) == 1 and kinds != {"changed"} else "layers-changed"
    if fact := next((FACTS[name] for name in FACTS if name in draft.totals), None):
        return fact
    if draft.parameters:
        return "init-changed" if "init" in path or path[0] == "weights" else "init-follows"
    return _of_value(path)


def _of_value(path: tuple[str, ...]) -> str:
    """The kind of an edit without an effect on a model."""
    if path[0] in ("model", "init", "weights", "dtype"):
        return "model-value"
    if path == ("optimizer", "lr"):
        return "learning-rate"
    if path[0] == "data":
        return "data-changed"
    return "training-changed" if path[0] in TRAINING or path[0] == "optimized_metric" else "setting-changed"


def title(draft: Draft) -> str:
    """`init.gain 1.0 → 1.4: 3 parameters start differently`."""
    follows = consequences(draft.layers, draft.parameters)
    head = _head(draft)
    if draft.edit is not None and draft.edit.path == ("seed",):
        return f"{head}: every drawn value changes"
    return f"{head}: {', '.join(follows)}" if follows else head


def consequences(layers: Mapping[str, Kind], parameters: Mapping[str, Kind]) -> list[str]:
    """What differs, counted: `2 layers changed`, `3 parameters start differently`.

    >>> consequences({"a": "added", "b": "changed"}, {"a.weight": "added", "b.weight": "changed"})
    ['1 layer added', '1 layer changed', '1 parameter added', '1 parameter starts differently']
    """
    found = [f"{plural(number, 'layer')} {kind}" for kind, number in _counts(layers.values())]
    for kind, number in _counts(parameters.values()):
        differs = "starts differently" if number == 1 else "start differently"
        found.append(f"{plural(number, 'parameter')} {differs if kind == 'changed' else kind}")
    return found


def _counts(kinds: Iterable[Kind]) -> list[tuple[Kind, int]]:
    counted = Counter(kinds)
    every: tuple[Kind, ...] = ("added", "removed", "changed")
    return [(kind, counted[kind]) for kind in every if counted[kind]]


def _side(draft: Draft) -> Kind:
    return "added" if draft.edit is not None and draft.edit.old is ABSENT else "removed"


def _head(draft: Draft) -> str:
    edit = draft.edit
    if edit is None:
        return "differences that no edit explains"
    if draft.whole_layer:
        values = edit.new if edit.old is ABSENT else edit.old
        return f"{edit.name} ({value(values.get('type', 'layer'))})"
    words = arrow(*pair(edit.old, edit.new))
    if edit.path[0] == "choices":
        count = f" ({plural(draft.num_values, 'value')} differ)" if draft.num_values > 1 else ""
        return f"{edit.path[-1]} {words}{count}"
    return f"{edit.name} {words}"
