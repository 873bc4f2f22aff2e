"""A diff in words, for the terminal and for Markdown: each change, and where it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelforge.core.errors import Place
from modelforge.core.tensors import to_data
from modelforge.core.words import plural, value, where
from modelforge.review.groups import Group, grouped
from modelforge.review.model_changes import LayerDiff, ParameterDiff
from modelforge.review.values import ValueChange

MARKS: Mapping[str, str] = {"added": "+", "removed": "-", "changed": "~"}
_NAMES = {"num_parameters": "parameters", "result": "last layer", "dtype": "dtype of buffers"}


def total(change: ValueChange) -> tuple[str, str]:
    """Name and change of a fact about the whole model."""
    return _NAMES.get(change.name, change.name), _total(change)


def layer_groups(layers: Sequence[LayerDiff]) -> list[Group[LayerDiff]]:
    """Layers, with equal copies together; layers inside of one that was added or removed are left out."""
    whole = {layer.path for layer in layers if layer.kind != "changed"}
    shown = [layer for layer in layers if layer.kind == "changed" or layer.path.rpartition(".")[0] not in whole]
    return grouped(shown, lambda layer: layer.path, lambda layer: repr((layer.kind, layer.type, layer_lines(layer))))


def layer_lines(layer: LayerDiff) -> list[tuple[str, str]]:
    """What differs in a layer, and where."""
    if layer.kind == "changed":
        retyped = any(change.name == "type" for change in layer.changes)
        # Arguments of the old type alone went with it.
        changes = [change for change in layer.changes if not (retyped and change.new is None)]
        renamed = [(f"was {value(layer.old_path)}", where(layer.place))] if layer.old_path else []
        return renamed + [(change_words(change), both_places(change.old_place, change.new_place)) for change in changes]
    side = layer.new or layer.old
    assert side is not None
    inside = len(list(side.walk())) - 1
    holds = f", holds {plural(inside, 'layer')}" if inside else ""
    return [(f"output {_tensor(_first(to_data(side.output)))}{holds}", where(layer.place))]


def change_words(change: ValueChange) -> str:
    """`gain 1 → 1.4`; a side that has no such fact is a dash."""
    if change.name == "output":
        return f"output {_output(change.old, change.new)}"
    name = _NAMES.get(change.name, change.name)
    return f"{name} {_setting(change.old)} → {_setting(change.new)}"


def both_places(old: Place | None, new: Place | None) -> str:
    """Two places in words; once where they are the same.

    >>> both_places(Place("a.yaml", 2), Place("a.yaml", 3)), both_places(Place("a.yaml", 2), Place("b.yaml", 2))
    ('a.yaml:2 → 3', 'a.yaml:2 → b.yaml:2')
    """
    before, after = where(old), where(new)
    if before == after or not before or not after:
        return after or before
    if old and new and old.file and old.file == new.file and not (old.via or new.via):
        return f"{before} → {new.line}"
    return f"{before} → {after}"


def _total(change: ValueChange) -> str:
    if change.name == "num_parameters":
        difference = change.new - change.old
        percent = f", {100 * difference / change.old:+.3g} %" if change.old else ""
        return f"{change.old:,} → {change.new:,} ({difference:+,}{percent})"
    if change.name == "output":
        return _output(change.old, change.new)
    if change.name == "inputs":
        sides = (change.old, change.new)
        return " → ".join(", ".join(f"{name} {_tensor(item)}" for name, item in side.items()) for side in sides)
    if change.name in ("results", "ties", "buffers"):
        return _mapping(change.old, change.new)
    effect = ", so every drawn value changes" if change.name == "seed" else ""
    return f"{value(change.old)} → {value(change.new)}{effect}"


def _mapping(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The entries that were removed, added and changed."""
    gone = [f"- {name}: {value(old[name])}" for name in old if name not in new]
    come = [f"+ {name}: {value(new[name])}" for name in new if name not in old]
    other = [
        f"{name}: {value(old[name])} → {value(new[name])}" for name in new if name in old and old[name] != new[name]
    ]
    return ", ".join([*gone, *come, *other]) or "in another order"


def sizes(parameter: ParameterDiff) -> Iterator[str]:
    """The sizes that a std depends on, where another shape (or other groups of channels) changes them."""
    old, new = parameter.old, parameter.new
    if old is None or new is None:
        return
    if any(parameter.change(name) for name in ("shape", "fan_in", "fan_out")):
        for name in ("fan", "rows", "columns"):
            before, after = old.numbers.get(name), new.numbers.get(name)
            if before != after and before is not None and after is not None:
                yield f"{name} {value(before)} → {value(after)}"


def _output(old: Any, new: Any) -> str:
    """Both outputs; of several tensors the first, unless only another one differs."""
    first_old, first_new = _first(old), _first(new)
    pair = (first_old, first_new) if first_old != first_new else (old, new)
    return f"{_tensor(pair[0])} → {_tensor(pair[1])}"


def _first(data: Any) -> Any:
    return _first(data[0]) if isinstance(data, list) and data else data


def _setting(setting: Any) -> str:
    return "-" if setting is None else value(setting)


def _tensor(data: Any) -> str:
    """A tensor, or several, as `to_data` gives them."""
    if isinstance(data, Mapping):
        sizes = data["shape"]
        dtype = "" if data["dtype"] == "float32" else f" {data['dtype']}"
        return "(" + ", ".join(map(str, sizes)) + ("," if len(sizes) == 1 else "") + f"){dtype}"
    if isinstance(data, list):
        return "(" + ", ".join(map(_tensor, data)) + ")"
    return "-"
