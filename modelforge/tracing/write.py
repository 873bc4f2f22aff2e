"""write: containers and layers → the `layers` of a config, as short as a person would write them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from modelforge.core.errors import Problem
from modelforge.core.paths import join
from modelforge.language import registry
from modelforge.language.nested import unusable
from modelforge.tracing.nest import Group, passing
from modelforge.tracing.steps import Ref, Step

Written = dict[str, Any]
_MADE_NAMES = frozenset({"shortcut", "merge"})
"""Names of children that `Residual` and `Parallel` make."""
_NOT_AROUND = _MADE_NAMES | {"input"}
"""Names that mean something else inside a container."""


@dataclass(frozen=True)
class _Item:
    """A layer or a container with its name and inputs."""

    name: str
    body: Step | Group
    reads: tuple[Ref, ...]

    @property
    def out(self) -> Ref:
        """Its output."""
        return Ref(self.body.out if isinstance(self.body, Group) else self.body.node)


class _Scope:
    """The names that the layers of one container have for the values in reach."""

    def __init__(self, arrives: Sequence[Ref], around: Mapping[Ref, str]) -> None:
        self._names: dict[Ref, str] = dict(around)
        for index, ref in enumerate(arrives):
            self._names[ref] = f"input.{index}" if index else "input"

    def add(self, item: _Item) -> None:
        """Adds a layer, which later ones may read."""
        self._names[item.out] = item.name

    def say(self, ref: Ref) -> str:
        """The reference to a value; a plain name means the first tensor of several."""
        known, rest = ref, ()
        while known not in self._names:
            known, rest = replace(known, path=known.path[:-1]), (known.path[-1], *rest)
        return self._names[known] if rest == _first(known.value) else ".".join((self._names[known], *map(str, rest)))


def _first(value: Any) -> tuple[int, ...]:
    return (0, *_first(value[0])) if isinstance(value, tuple | list) and value else ()


class Writer:
    """Writes containers as plain data, and collects names that no config can have."""

    def __init__(self, calls: Mapping[str, Sequence[Ref]]) -> None:
        self._calls = calls
        self.problems: list[Problem] = []

    def model(self, group: Group, inputs: Mapping[str, Ref], results: Mapping[str, Ref]) -> Written:
        """The `layers` of a model, and its `outputs` where they have names."""
        items = self._items(group, reserved=inputs)
        scope = _Scope((), {ref: name for name, ref in inputs.items()})
        first = next(iter(inputs)) if len(inputs) == 1 else None
        last = items[-1].out
        if "" in results and results[""] not in (last, Ref(last.node, _first(last.value))):
            step = passing(results[""], "")
            items.append(_Item(_fresh(step.name, {item.name for item in items}), step, step.reads))
        written: Written = {"layers": self._chain(items, scope, first, "")}
        if "" not in results:
            written["outputs"] = {name: scope.say(ref) for name, ref in results.items()}
        return written

    def _items(self, group: Group, reserved: Collection[str] = ()) -> list[_Item]:
        names: dict[int, str] = {}
        for item in group.items:
            owner, _, name = item.path.rpartition(".")
            stays = isinstance(item, Group) or item.has_state
            if stays or (item.path and owner == group.path and not unusable(name)) or name in _MADE_NAMES:
                names[id(item)] = name
        used = {*names.values(), *reserved}
        items: list[_Item] = []
        for item in group.items:
            if id(item) not in names:
                assert isinstance(item, Step), "a group has a name"
                made = item.type.lower() if unusable(item.name) or item.name.isdigit() else item.name
                names[id(item)] = _fresh(made, used)
                used.add(names[id(item)])
            reads = self._arrives(item) if isinstance(item, Group) else item.reads
            items.append(_Item(names[id(item)], item, tuple(reads)))
        return items

    def _arrives(self, group: Group) -> list[Ref]:
        """The inputs of a container, in the order in which it is called."""
        reads = group.reads()
        called = [ref for ref in self._calls.get(group.path, ()) if ref in reads]
        return list(dict.fromkeys([*called, *reads]))

    def _chain(self, items: Sequence[_Item], scope: _Scope, before: str | None, path: str) -> Written:
        """Layers in order; `inputs` is written where it is not the layer before."""
        layers: Written = {}
        for item in items:
            if why := unusable(item.name):
                self.problems.append(Problem("MF133", join(path, item.name), why, "rename the module", part="key"))
            written, reads = self._item(item, scope)
            layers[item.name] = _short(written, [] if reads == [before] else reads)
            scope.add(item)
            before = item.name
        return layers

    def _item(self, item: _Item, scope: _Scope) -> tuple[Written, list[str]]:
        """A layer, and the names of its inputs."""
        if isinstance(item.body, Step):
            return _bare(item), [scope.say(ref) for ref in item.reads]
        arrives, around = self._enter(item, item.body, scope)
        return self._container(item.body, arrives, around), [scope.say(ref) for ref in arrives]

    def _enter(self, item: _Item, group: Group, scope: _Scope) -> tuple[list[Ref], dict[Ref, str]]:
        """The inputs of a container, and the values around it that its layers read by name."""
        names = {inner.name for inner in self._items(group)}
        said = {ref: scope.say(ref) for ref in item.reads[1:]}
        around = {ref: name for ref, name in said.items() if name.partition(".")[0] not in names | _NOT_AROUND}
        return [ref for ref in item.reads if ref not in around], around

    def _container(self, group: Group, arrives: Sequence[Ref], around: Mapping[Ref, str]) -> Written:
        items = self._items(group)
        return (
            self._repeat(group, items, arrives, around)
            or self._parallel(group, items, arrives, around)
            or self._residual(group, items, arrives, around)
            or self._sequential(group, items, arrives, around)
        )

    def _sequential(
        self, group: Group, items: Sequence[_Item], arrives: Sequence[Ref], around: Mapping[Ref, str]
    ) -> Written:
        return {"type": "Sequential", "layers": self._chain(items, _Scope(arrives, around), "input", group.path)}

    def _repeat(
        self, group: Group, items: Sequence[_Item], arrives: Sequence[Ref], around: Mapping[Ref, str]
    ) -> Written | None:
        """Equal copies `0`, `1`, …; each reads the one before, and all read the same further values."""
        names = [item.name for item in items]
        if len(items) < 2 or names != [str(index) for index in range(len(items))]:
            return None
        scope, others = _Scope(arrives, around), [f"input.{index}" for index in range(1, len(arrives))]
        copies: list[Written] = []
        before = "input"
        for item in items:
            if not isinstance(item.body, Group):
                return None
            if any(inner.name == "merge" for inner in self._items(item.body)):
                return None  # it was made by `Residual` or `Parallel`, which say more
            reads, captured = self._enter(item, item.body, scope)
            if [scope.say(ref) for ref in reads] != [before, *others]:
                return None
            written = self._sequential(item.body, self._items(item.body), reads, captured)
            if copies and written != copies[0]:
                return None
            copies.append(written)
            scope.add(item)
            before = item.name
        return {"type": "Repeat", "times": len(items), "layers": copies[0]["layers"]}

    def _parallel(
        self, group: Group, items: Sequence[_Item], arrives: Sequence[Ref], around: Mapping[Ref, str]
    ) -> Written | None:
        """Branches with the same input, and a layer that joins them."""
        *branches, merge = items
        if len(branches) < 2 or not _is_merge(merge) or any(branch.name in _MADE_NAMES for branch in branches):
            return None
        scope = _Scope(arrives, around)
        if tuple(_head(ref) for ref in merge.reads) != tuple(branch.out for branch in branches):
            return None
        written: Written = {}
        for branch in branches:
            body, reads = self._item(branch, scope)
            if reads != ["input"]:
                return None
            written[branch.name] = _short(body, [])
        joined = _short(_bare(merge), [])
        return {"type": "Parallel", "branches": written} | ({} if joined == "Concat" else {"merge": joined})

    def _residual(
        self, group: Group, items: Sequence[_Item], arrives: Sequence[Ref], around: Mapping[Ref, str]
    ) -> Written | None:
        """A main path, and the input or `shortcut` beside it."""
        *main, merge = items
        shortcut = next((item for item in main if item.name == "shortcut"), None)
        main = [item for item in main if item is not shortcut]
        if not main or len(merge.reads) != 2 or not _is_merge(merge) or any(item.name == "merge" for item in main):
            return None
        end = main[-1].out
        around_it = arrives[0] if shortcut is None else shortcut.out
        assert isinstance(merge.body, Step)
        orders = [merge.reads, merge.reads[::-1]] if merge.body.type in ("Add", "Multiply") else [merge.reads]
        ends = [(_head(one), other if shortcut is None else _head(other)) for one, other in orders]
        if (end, around_it) not in ends:
            return None
        if shortcut is not None and shortcut.out in {_head(ref) for item in main for ref in item.reads}:
            return None
        scope = _Scope(arrives, around)
        written: Written = {"type": "Residual", "layers": self._chain(main, scope, "input", group.path)}
        if shortcut is not None:
            body, reads = self._item(shortcut, scope)
            if reads != ["input"]:
                return None
            written["shortcut"] = _short(body, [])
        joined = _short(_bare(merge), [])
        return written | ({} if joined == "Add" else {"merge": joined})


def _bare(item: _Item) -> Written:
    """A layer without its inputs."""
    assert isinstance(item.body, Step)
    return {"type": item.body.type, **shortened(item.body)}


def _is_merge(item: _Item) -> bool:
    """Whether a layer may be called `merge` without changing the path of a parameter."""
    return isinstance(item.body, Step) and (item.name == "merge" or not item.body.has_state)


def _head(ref: Ref) -> Ref:
    """The whole output of which a value is the first tensor; else the value."""
    whole = Ref(ref.node)
    return whole if ref.path == _first(whole.value) else ref


def _fresh(wish: str, used: Collection[str]) -> str:
    name, number = wish, 1
    while name in used or unusable(name):
        number += 1
        name = f"{wish}_{number}" if any(map(str.isdigit, wish)) else f"{wish}{number}"
    return name


def _short(written: Written, reads: list[str]) -> Any:
    """A layer in its shortest form: `ReLU` alone where there are no arguments; one name for one input."""
    if reads:
        said = {"inputs": reads[0] if len(reads) == 1 else reads}
        if "layers" in written or "branches" in written:
            return {"type": written["type"]} | said | written  # the short line before the long block
        return written | said
    return written["type"] if len(written) == 1 else written


def shortened(step: Step) -> Written:
    """The arguments of a layer that are neither its defaults nor inferred from the shapes of its inputs."""
    layer = registry.get(step.type)
    values = [ref.value for ref in step.reads]
    shapes = tuple(tuple(value.shape) if isinstance(value, Tensor) else () for value in values)
    written: Written = {}
    for name, value in step.arguments.items():
        if name in layer.infer:
            if value is None or _equal(value, layer.infer[name](shapes)):
                continue
        elif not (info := layer.spec.model_fields[name]).is_required() and _equal(value, info.default):
            continue
        written[name] = _data(value)
    return written


def _equal(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _data(value: Any) -> Any:
    return [_data(item) for item in value] if isinstance(value, tuple | list) else value
