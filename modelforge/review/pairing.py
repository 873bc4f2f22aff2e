"""pairing: two plans → which layer of the old one each layer of the new one is, whatever its name and place.

Layers of one name and type are one layer. Of the others those are paired that are built alike, then those of one type
between the same neighbours; last, layers with parameters that are built alike wherever they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from modelforge.core.paths import join, parent
from modelforge.planning.layer_plan import LayerPlan
from modelforge.planning.plan import Plan


@dataclass(frozen=True)
class Pairing:
    """The layers of two plans, paired."""

    layers: Mapping[str, str]
    """Paths on the new side → paths on the old side."""

    @cached_property
    def renamed(self) -> Mapping[str, str]:
        """New path → old path of each layer whose path differs."""
        return {new: old for new, old in self.layers.items() if new != old}

    @cached_property
    def new_layers(self) -> Mapping[str, str]:
        """Paths on the old side → paths on the new side."""
        return {old: new for new, old in self.layers.items()}

    def outermost(self, path: str) -> bool:
        """Whether a layer has another name than before, or stands in another layer: not only its path differs."""
        old = self.layers.get(path, path)
        (around, _, name), (old_around, _, old_name) = path.rpartition("."), old.rpartition(".")
        return path != old and (name != old_name or self.layers.get(around, around) != old_around)

    def moved(self, path: str) -> bool:
        """Whether a layer stands in another layer than before."""
        old = self.layers.get(path, path)
        around = path.rpartition(".")[0]
        return self.layers.get(around, around) != old.rpartition(".")[0]

    def old_parameter(self, path: str) -> str:
        """What a parameter of the new side is called on the old side, if its layer is there; else empty."""
        return _followed(path, self.layers)

    def new_name(self, path: str) -> str:
        """What a parameter or buffer of the old side is called on the new side; empty where its layer is gone."""
        return _followed(path, self.new_layers)

    def new_parameter(self, path: str) -> str:
        """What a parameter of the old side is called on the new side; its own name where its layer is gone."""
        return self.new_name(path) or path

    def siblings(self, path: str) -> Mapping[str, str]:
        """Names of the layers in a combinator: on the old side → on the new one, where they differ."""
        pairs = (
            (old.rpartition("."), new.rpartition("."))
            for new, old in self.renamed.items()
            if new.rpartition(".")[0] == path
        )
        return {old[2]: new[2] for old, new in pairs if old[0] == self.layers.get(path, path)}


def _followed(path: str, layers: Mapping[str, str]) -> str:
    """The path of a parameter, with another path of its layer."""
    layer = parent(path)
    while layer and layer not in layers:
        layer = parent(layer)
    return layers[layer] + path[len(layer) :] if layer else ""


def paired(old: Plan, new: Plan) -> Pairing:
    """Finds for each layer of the new side the one that it was.

    Example:
        >>> from modelforge.language import parse
        >>> from modelforge.planning.plan import plan
        >>> linear = {"type": "Linear", "out_features": 2}
        >>> models = ({"input": {"shape": [4]}, "layers": {name: linear}} for name in ("a", "b"))
        >>> old, new = (plan(parse(model, "zeros")) for model in models)
        >>> paired(old, new).layers
        {'b': 'a'}
    """
    found: dict[str, str] = {}
    _match(old.root.children, new.root.children, found)
    taken = set(found.values())
    gone = [layer for layer in old.layers if layer.path not in taken and _weighs(layer)]
    come = [layer for layer in new.layers if layer.path not in found and _weighs(layer)]
    for before, after in _alike(gone, come, _build):
        if before.path not in taken and after.path not in found:
            found |= _below(before, after)
            taken.update(layer.path for layer in before.walk())
    return Pairing(found)


def _match(old: Sequence[LayerPlan], new: Sequence[LayerPlan], found: dict[str, str]) -> None:
    """Pairs the layers of one combinator, and what is below them."""
    pairs: dict[str, tuple[LayerPlan, LayerPlan]] = {}

    def take(matched: Iterator[tuple[LayerPlan, LayerPlan]]) -> None:
        pairs.update({after.path: (before, after) for before, after in matched})

    def rest() -> tuple[list[LayerPlan], list[LayerPlan]]:
        before = {one.path for one, _ in pairs.values()}
        return [one for one in old if one.path not in before], [one for one in new if one.path not in pairs]

    take(_alike(*rest(), lambda layer: (layer.name, layer.type)))
    take(_alike(*rest(), _build))
    if pairs:
        take(_between(*rest(), old, new, pairs))
    elif len(old) == len(new) and [one.type for one in old] == [one.type for one in new]:
        take(iter(zip(old, new, strict=True)))
    take(_alike(*rest(), lambda layer: layer.name))
    for before, after in pairs.values():
        found[after.path] = before.path
        _match(before.children, after.children, found)


def _alike(
    old: Sequence[LayerPlan], new: Sequence[LayerPlan], key: Callable[[LayerPlan], Hashable]
) -> Iterator[tuple[LayerPlan, LayerPlan]]:
    """Layers of equal key, in their order."""
    waiting: dict[Hashable, list[LayerPlan]] = {}
    for layer in old:
        waiting.setdefault(key(layer), []).append(layer)
    for layer in new:
        if before := waiting.get(key(layer)):
            yield before.pop(0), layer


def _between(
    gone: Sequence[LayerPlan],
    come: Sequence[LayerPlan],
    old: Sequence[LayerPlan],
    new: Sequence[LayerPlan],
    pairs: Mapping[str, tuple[LayerPlan, LayerPlan]],
) -> Iterator[tuple[LayerPlan, LayerPlan]]:
    """Layers of one type after the same neighbour."""

    def keys(row: Sequence[LayerPlan], names: Mapping[str, str]) -> dict[int, Hashable]:
        found: dict[int, Hashable] = {}
        neighbour = ""
        for layer in row:
            found[id(layer)] = (layer.type, neighbour)
            neighbour = names.get(layer.path, neighbour)
        return found

    known = keys(old, {before.path: after.path for before, after in pairs.values()})
    known |= keys(new, {after.path: after.path for _, after in pairs.values()})
    yield from _alike(gone, come, lambda layer: known[id(layer)])


def _build(layer: LayerPlan) -> Hashable:
    """What a layer is made of; equal for layers that are built alike."""
    inside = tuple((child.name, _build(child)) for child in layer.children)
    return layer.type, repr(sorted(layer.arguments.items())), layer.inputs, layer.parameters, inside


def _weighs(layer: LayerPlan) -> bool:
    return any(part.parameters for part in layer.walk())


def _below(old: LayerPlan, new: LayerPlan) -> dict[str, str]:
    """The layers of two that are built alike."""
    return {join(new.path, layer.path[len(old.path) + 1 :]): layer.path for layer in old.walk()}
