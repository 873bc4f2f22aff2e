"""nest: layers in order → containers, by the paths of their parameters.

A layer with parameters is placed at the path of its module. One without is placed in the container whose `forward`
calls it, or, where that container is never called itself (`nn.ModuleList`), beside the layers that it runs between.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from torch import fx

from modelforge.core.errors import Problem
from modelforge.core.paths import is_below, join, parent, relative
from modelforge.core.quoting import listed
from modelforge.tracing.steps import Ref, Step

MAX_NAMED = 4
"""Containers that a message names."""


@dataclass
class Group:
    """A container and its items, in execution order; the last item's output is its output."""

    path: str
    items: list[Step | Group] = field(default_factory=list)
    gives: fx.Node | None = None
    """The node that makes its output, where something reads the output."""

    @property
    def out(self) -> fx.Node:
        """The node that makes its output."""
        last = self.items[-1]
        return self.gives or (last.out if isinstance(last, Group) else last.node)

    def steps(self) -> Iterator[Step]:
        """All layers in it."""
        for item in self.items:
            if isinstance(item, Group):
                yield from item.steps()
            else:
                yield item

    def nodes(self) -> set[fx.Node]:
        """The nodes of all layers in it."""
        return {step.node for step in self.steps()}

    def reads(self) -> list[Ref]:
        """The values that it reads from outside, in the order of first reading."""
        own = self.nodes()
        return list(dict.fromkeys(ref for step in self.steps() for ref in step.reads if ref.node not in own))


def nest(steps: Sequence[Step], results: Mapping[str, Ref]) -> tuple[Group, list[Problem]]:
    """Puts each layer into its container; layers that cannot be in one container are problems."""
    nester = _Nester()
    alive = _alive(steps, {ref.node for ref in results.values()})
    places = {step.node: parent(step.path) if step.has_state else step.container for step in alive}
    for step in alive:
        if step.has_state and not is_below(places[step.node], step.container):
            hint = "a layer is called by its container or by one around it"
            message = f"`{step.path}` is called by `{step.container}`, which does not hold it"
            nester.problems.append(Problem("MF133", step.path, message, hint, part="key"))
    if nester.problems:
        return Group(""), nester.problems
    return nester.level("", alive, places, {ref.node for ref in results.values()}), nester.problems


def _alive(steps: Sequence[Step], wanted: Collection[fx.Node]) -> list[Step]:
    """The layers that are read, and all with parameters."""
    read = set(wanted)
    alive: list[Step] = []
    for step in reversed(steps):
        if step.has_state or step.node in read:
            alive.append(step)
            read |= {ref.node for ref in step.reads}
    return alive[::-1]


class _Nester:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._taking_turns: set[frozenset[str]] = set()

    def found_between(self, path: str, name: str, other: str) -> None:
        """A layer that runs between those of a container; of two containers that take turns once."""
        message = f"`{name}` runs between layers of `{path}`"
        if not other:
            hint = "a container runs as a whole: put layers that follow one another into one"
            self.problems.append(Problem("MF133", path, message, hint, part="key"))
        elif (pair := frozenset((path, other))) not in self._taking_turns:
            self._taking_turns.add(pair)
            message = f"`{path}` and `{other}` take turns: {message}"
            hint = "a container runs as a whole: make one list of modules that each hold a layer of both"
            self.problems.append(Problem("MF133", path, message, hint, part="key"))

    def level(self, path: str, steps: list[Step], places: dict[fx.Node, str], wanted: Collection[fx.Node]) -> Group:
        """One container, with the containers in it."""
        groups: dict[str, set[int]] = {}
        for index, step in enumerate(steps):
            if (name := _below(path, places[step.node])) is not None:
                groups.setdefault(name, set()).add(index)
        index_of = {step.node: index for index, step in enumerate(steps)}
        before = [[index_of[ref.node] for ref in step.reads if ref.node in index_of] for step in steps]
        taken = {index: name for name, members in groups.items() for index in members}
        for name, members in groups.items():
            full = join(path, name)
            _Gatherer(self, full, members, steps, before, taken, wanted).gather()
            for index in members:
                taken[index] = name
                if _below(path, places[steps[index].node]) is None:
                    places[steps[index].node] = full
        items: list[list[int]] = [sorted(members) for members in groups.values()]
        items += [[index] for index in range(len(steps)) if index not in taken]
        names = [join(path, name) for name in groups]
        names += [steps[index].path or steps[index].type for (index,) in items[len(groups) :]]
        ordered = self._in_order(path, items, before, names)
        made = Group(path)
        for indices in ordered:
            inner = [steps[index] for index in indices]
            name = _below(path, places[inner[0].node])
            if name is None:
                made.items.append(inner[0])
                continue
            own = {step.node for step in inner}
            outside = {ref.node for step in steps if step.node not in own for ref in step.reads} | set(wanted)
            made.items.append(self.level(join(path, name), inner, places, outside & own))
        if path and len(wanted) == 1 and not self.problems:
            _end_with(made, *wanted)
        return made

    def _in_order(
        self, path: str, items: list[list[int]], before: list[list[int]], names: Sequence[str]
    ) -> list[list[int]]:
        """An order of execution, as near to that of the trace as possible."""
        item_of = {index: number for number, indices in enumerate(items) for index in indices}
        needs = {n: {item_of[i] for index in indices for i in before[index]} - {n} for n, indices in enumerate(items)}
        sorter = TopologicalSorter(needs)
        try:
            sorter.prepare()
        except CycleError as error:
            if not self.problems:
                hint = "a container runs as a whole: put layers that follow one another into one"
                turns = listed([names[number] for number in dict.fromkeys(error.args[1])], MAX_NAMED, quote="`")
                message = f"{turns} run in alternating parts"
                self.problems.append(Problem("MF133", path or "model", message, hint, part="key"))
            return []
        ordered: list[list[int]] = []
        ready: list[tuple[int, int]] = []
        while sorter.is_active():
            for number in sorter.get_ready():
                heapq.heappush(ready, (items[number][0], number))
            number = heapq.heappop(ready)[1]
            ordered.append(items[number])
            sorter.done(number)
        return ordered


def _end_with(group: Group, node: fx.Node) -> None:
    """Puts the item that makes a container's output last, or adds a layer that passes the output on."""
    makers = [item.nodes() if isinstance(item, Group) else {item.node} for item in group.items]
    at = next(index for index, nodes in enumerate(makers) if node in nodes)
    group.gives = node
    readers = [
        ref for item in group.items[at + 1 :] for ref in (item.reads() if isinstance(item, Group) else item.reads)
    ]
    if any(ref.node in makers[at] for ref in readers):
        group.items.append(passing(Ref(node), group.path))
    else:
        group.items.append(group.items.pop(at))


def passing(ref: Ref, container: str) -> Step:
    """A layer that returns its input."""
    node = ref.node.graph.create_node("call_module", "output")
    node.meta["value"] = ref.value
    return Step(node, "Identity", {}, (ref,), container, "", "output")


@dataclass
class _Gatherer:
    """Collects the layers of one container, which run as one and give one value."""

    nester: _Nester
    path: str
    members: set[int]
    steps: list[Step]
    before: list[list[int]]
    taken: dict[int, str]
    wanted: Collection[fx.Node]

    def gather(self) -> None:
        """Adds layers without parameters that run between its own, and those that combine its values."""
        if not self._close():
            return
        while len(given := self._given()) > 1:
            meets = [
                index
                for index, step in enumerate(self.steps)
                if index not in self.taken and not step.has_state and given & set(self.before[index])
                if index not in self.members
            ]
            if not meets:
                hint = "a container gives the output of its last layer: read only one of them outside, or regroup them"
                names = ", ".join(f"`{self._name(index)}`" for index in sorted(given))
                message = f"several layers of `{self.path}` are read outside of it: {names}"
                self.nester.problems.append(Problem("MF133", self.path, message, hint, part="key"))
                return
            self.members.add(min(meets))
            if not self._close():
                return

    def _close(self) -> bool:
        """Adds the layers that run between its own; False if one of them belongs elsewhere."""
        first, last = min(self.members), max(self.members)
        if last - first + 1 == len(self.members):
            return True
        behind: set[int] = set()
        for index in range(first, last + 1):
            if index in self.members or any(i in behind for i in self.before[index]):
                behind.add(index)
        ahead: set[int] = set()
        for index in range(last, first - 1, -1):
            if index in self.members or index in ahead:
                ahead.update(self.before[index])
        for index in sorted((behind & ahead) - self.members):
            if index in self.taken or self.steps[index].has_state:
                self.nester.found_between(self.path, self._name(index), self._other(index))
                return False
            self.members.add(index)
        return True

    def _given(self) -> set[int]:
        """The layers whose values are read outside."""
        outside = [i for index, reads in enumerate(self.before) if index not in self.members for i in reads]
        asked = {index for index in self.members if self.steps[index].node in self.wanted}
        return (set(outside) & self.members) | asked

    def _other(self, index: int) -> str:
        """The container that a layer is in, beside this one; empty where it is in none."""
        return join(parent(self.path), self.taken[index]) if index in self.taken else ""

    def _name(self, index: int) -> str:
        return self.steps[index].path or self.steps[index].type


def _below(path: str, place: str) -> str | None:
    """The next name on the path from a container to a place in it; None where that is the container itself."""
    return None if place == path else relative(place, path).partition(".")[0]
