"""kind_of, head, follows: an edit and what follows from it → its kind, and the two halves of the line that says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from modelforge.core.quoting import listed
from modelforge.core.words import plural, value
from modelforge.review.cause import Written
from modelforge.review.changed_files import PACKAGE
from modelforge.review.drafts import Draft
from modelforge.review.edits import moved_name
from modelforge.review.value_words import arrow, list_edit, pair
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
MAX_NAMED = 3
"""Edits of one cause that are named."""


def kind_of(draft: Draft) -> str:
    """The name of its kind, see `KINDS`."""
    if draft.path == ("seed",):
        return "seed-changed"
    chosen = [path[-1] for path in draft.values if path[0] == "choices"]
    if chosen:
        named = [group for group in ("model", "init") if group in chosen]
        return f"{named[0]}-chosen" if named else "option-chosen"
    if draft.layers:
        return _of_layers(draft)
    if fact := next((FACTS[name] for name in FACTS if name in draft.totals), None):
        return fact
    if draft.parameters:
        return "init-changed" if "init" in draft.path or draft.path[0] == "weights" else "init-follows"
    return _of_value(draft.path, unplanned=draft.unplanned)


def _of_layers(draft: Draft) -> str:
    edit = draft.edit
    if edit is not None and edit.how in ("renamed", "moved"):
        return f"layer-{edit.how}"
    if edit is not None and edit.how in ("added", "removed") and set(draft.layers.values()) - {"changed"}:
        return f"layer-{edit.how}"
    kinds = set(draft.layers.values())
    return f"layer-{kinds.pop()}" if len(kinds) == 1 and kinds != {"changed"} else "layers-changed"


def _of_value(path: tuple[str, ...], *, unplanned: bool) -> str:
    """The kind of an edit without an effect on a model, or on one without a plan."""
    if path[0] in ("model", "init", "weights", "dtype"):
        return "model-unplanned" if unplanned else "model-value"
    if path == ("optimizer", "lr"):
        return "learning-rate"
    if path[0] == "data":
        return "data-changed"
    return "training-changed" if path[0] in TRAINING or path[0] == "optimized_metric" else "setting-changed"


def head(draft: Draft) -> tuple[str, str]:
    """What was edited, and how: `init.gain` and `1.0 → 1.4`."""
    if not draft.edits:
        return "differences that no edit explains", ""
    if draft.edit is None:
        names = listed(dict.fromkeys(_name(edit) for edit in draft.edits), MAX_NAMED)
        return names, "act together"
    edit = draft.edit
    change = edit.change
    if (choice := draft.choice) is not None:
        return choice.path[-1], arrow(*pair(choice.old, choice.new))
    if edit.kind == "file":
        return change.name, edit.how if edit.how in ("added", "removed") else "changed"
    if edit.kind == "defaults" and change.name == PACKAGE:
        return _name(edit), arrow(*pair(change.old or ABSENT, change.new or ABSENT))
    if edit.kind == "defaults":
        return _name(edit), list_edit(change.old, change.new) or "in another order"
    if edit.kind == "override" and change.old is ABSENT and change.new is ABSENT:
        return change.name, "on the new side alone" if edit.how == "added" else "on the old side alone"
    if edit.how == "renamed":
        return ".".join(draft.path), f"was `{edit.old_name}`"
    if edit.how == "moved":
        return ".".join(draft.path), _order(change.old, change.new)
    return ".".join(draft.path), arrow(*pair(change.old, change.new))


def _order(old: Sequence[str], new: Sequence[str]) -> str:
    """
    >>> _order(["a", "b", "c", "d"], ["a", "c", "d", "b"]), _order(["a", "b", "c"], ["c", "b", "a"])
    ('b now behind d', 'a, b, c → c, b, a')
    """
    if not (name := moved_name(old, new)):
        return " → ".join(", ".join(map(value, side)) for side in (old, new))
    place = new.index(name)
    return f"{value(name)} now behind {value(new[place - 1])}" if place else f"{value(name)} now first"


def _name(edit: Written) -> str:
    if edit.kind != "defaults":
        return edit.change.name
    return f"{'package' if edit.change.name == PACKAGE else 'defaults'} of {edit.file}"


def follows(draft: Draft) -> str:
    """What the edit does, counted."""
    if draft.path == ("seed",):
        return "every drawn value changes"
    found = consequences(draft.layers, draft.parameters)
    if not found and draft.holds_values:
        found.append(f"{plural(len(draft.values), 'value')} differ")
    return ", ".join(found)


def consequences(layers: Mapping[str, str], parameters: Mapping[str, str]) -> list[str]:
    """What differs in a model, counted: `2 layers changed`, `3 parameters start differently`.

    >>> consequences({"a": "added", "b": "changed"}, {"a.weight": "added", "b.weight": "changed"})
    ['1 layer added', '1 layer changed', '1 parameter added', '1 parameter starts differently']
    """
    found = [f"{plural(number, 'layer')} {kind}" for kind, number in _counts(layers.values())]
    for kind, number in _counts(parameters.values()):
        differs = "starts differently" if number == 1 else "start differently"
        found.append(f"{plural(number, 'parameter')} {differs if kind == 'changed' else kind}")
    return found


def _counts(kinds: Iterable[str]) -> list[tuple[str, int]]:
    counted = Counter(kinds)
    every = ("added", "removed", "moved", "renamed", "changed", "redrawn")
    return [(kind, counted[kind]) for kind in every if counted[kind]]
