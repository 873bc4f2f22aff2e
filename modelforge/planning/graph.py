"""Graph: the leaves of a model in execution order, and what each is made from.

A set of nodes is a whole number with one bit for each: two sets of 20,000 nodes are intersected in a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from modelforge.language import registry
from modelforge.language.registry import LayerType
from modelforge.planning.study import LayerFacts

Nodes: TypeAlias = tuple[int, ...]
"""Numbers of nodes: of leaves, and of inputs of the model."""
KERNELS = frozenset({"weight", "recurrent"})
"""Roles of parameters that are matrices between two widths."""


@dataclass(frozen=True)
class Leaf:
    """A layer that is not made of layers."""

    path: str
    layer: LayerType
    facts: LayerFacts
    reads: tuple[Nodes, ...]
    """For each of its inputs the nodes that make it."""

    @cached_property
    def makers(self) -> Nodes:
        return tuple(dict.fromkeys(maker for part in self.reads for maker in part))

    @cached_property
    def has_parameters(self) -> bool:
        return bool(self.facts.parameters)

    @cached_property
    def has_kernels(self) -> bool:
        """Whether its output may have another width than its input, by weights or a table of its own."""
        roles = {item.layout.role for item in self.facts.parameters}
        looks_up = "embedding" in roles and self.layer.kind != "passthrough"
        return looks_up or not KERNELS.isdisjoint(roles)

    @cached_property
    def num_weights(self) -> int:
        """The number of modules in it with a kernel."""
        return len({item.owner for item in self.facts.parameters if item.layout.role == "weight"})


class Graph:
    """The nodes of a model, numbered in execution order; an input gets its number where it is first read."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.nodes: list[Leaf | None] = []
        """None is an input of the model."""

    def add(self, path: str, type_name: str, facts: LayerFacts, reads: Iterable[Iterable[str]]) -> int:
        """Adds a leaf after those that it reads, and returns its number."""
        made = tuple(tuple(map(self._number, part)) for part in reads)
        self.nodes.append(Leaf(path, registry.get(type_name), facts, made))
        number = self.numbers[path] = len(self.nodes) - 1
        return number

    def _number(self, name: str) -> int:
        if name not in self.numbers:
            self.numbers[name] = len(self.nodes)
            self.nodes.append(None)
        return self.numbers[name]

    def leaves(self) -> Iterator[tuple[int, Leaf]]:
        """The leaves with their numbers, in execution order."""
        return ((number, leaf) for number, leaf in enumerate(self.nodes) if leaf is not None)

    # What follows is known once the graph is complete.

    @cached_property
    def before(self) -> list[int]:
        """For each node, the set of those that it is made from."""
        found = [0] * len(self.nodes)
        for number, leaf in self.leaves():
            for maker in leaf.makers:
                found[number] |= found[maker] | 1 << maker
        return found

    @cached_property
    def after(self) -> list[int]:
        """For each node, the set of those that are made from it."""
        found = [0] * len(self.nodes)
        for number, leaf in reversed([*self.leaves()]):
            for maker in leaf.makers:
                found[maker] |= found[number] | 1 << number
        return found

    @cached_property
    def ends(self) -> list[int]:
        """For each node, the set of the last leaves with parameters that it is made from, gates left out."""
        found = [0] * len(self.nodes)
        for number, leaf in self.leaves():
            makers = self._main(leaf)
            if leaf.has_parameters:
                found[number] = 1 << number
            elif len(makers) == 1:
                found[number] = found[makers[0]]
            else:
                for maker in makers:
                    found[number] |= found[maker]
        return found

    def _main(self, leaf: Leaf) -> Nodes:
        """The makers of a leaf's main input: of a product the makers of all factors but gates."""
        if leaf.layer.joins != "product":
            return leaf.makers
        factors = as_set(node for part in leaf.reads for node in part)
        gated = [part for part in leaf.reads if not self._is_gate(part, factors)]
        return tuple(maker for part in gated or leaf.reads for maker in part)

    def _is_gate(self, part: Nodes, factors: int) -> bool:
        """Whether a factor scales the others: it is made from one of them, or lies between 0 and 1."""
        if any(self.before[node] & factors for node in part):
            return True
        return len(part) == 1 and self._is_share[part[0]]

    @cached_property
    def _is_share(self) -> list[bool]:
        """For each node, whether it lies between 0 and 1."""
        found = [False] * len(self.nodes)
        for number, leaf in self.leaves():
            passes = leaf.layer.kind == "passthrough" and not leaf.has_parameters and len(leaf.reads) == 1
            made = leaf.reads[0] if passes else ()
            found[number] = leaf.layer.is_share or (len(made) == 1 and found[made[0]])
        return found


def as_set(nodes: Iterable[int]) -> int:
    """
    >>> bin(as_set([0, 3]))
    '0b1001'
    """
    found = 0
    for node in nodes:
        found |= 1 << node
    return found


def members(nodes: int) -> Iterator[int]:
    """The nodes of a set, in order.

    >>> list(members(0b1001))
    [0, 3]
    """
    while nodes:
        lowest = nodes & -nodes
        yield lowest.bit_length() - 1
        nodes ^= lowest
