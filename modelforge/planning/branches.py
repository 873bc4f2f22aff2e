"""Branches: the residual branches of a graph, those that combinators declare and those that sums join."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_

from modelforge.core.matrix import Branch
from modelforge.planning.graph import Graph, Nodes, as_set, members

MAX_SHORTCUT = 100
"""Layers of a shortcut: with more it is a branch."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A branch that a combinator declares: the leaves below `prefixes`, from number `start` up to `end`."""

    prefixes: frozenset[str]
    ends: tuple[str, ...]
    start: int
    end: int


class Branches:
    """The residual branches of a complete graph, numbered in execution order.

    Args:
        graph: The graph.
        sums: Leaves whose inputs may be a branch and its shortcut.
        declared: What combinators declare, inner branches first.
    """

    def __init__(self, graph: Graph, sums: Collection[int], declared: Collection[Declared]) -> None:
        self.of: dict[int, Branch] = {}
        """The innermost branch of each leaf that is in one."""
        self.first: dict[int, int] = {}
        """For each leaf, the number of branches before those inside it."""
        self.extra: dict[int, int] = {}
        """For each leaf, how many of those come after the first two of their layer; see `Branch.extra`."""
        self.num = 0
        self._num_extra = 0
        self._graph = graph
        self._within = 0
        self._with_parameters = as_set(number for number, leaf in graph.leaves() if leaf.has_parameters)
        self._digits = _digits({number: leaf.num_weights for number, leaf in graph.leaves()})
        ending: dict[int, list[Declared]] = {}
        for branch in declared:
            ending.setdefault(branch.end, []).append(branch)
        for number, leaf in graph.leaves():
            self.first[number] = self.num
            self.extra[number] = self._num_extra
            self.num += leaf.facts.num_branches
            self._num_extra += leaf.facts.num_extra
            if number in sums:
                self._join(leaf.reads)
            for branch in ending.get(number + 1, ()):
                self._add(as_set(self._declared(branch)), tuple(graph.numbers[end] for end in branch.ends))

    def _declared(self, branch: Declared) -> Iterator[int]:
        lengths = {prefix.count(".") + 1 for prefix in branch.prefixes}
        for number in range(branch.start, branch.end):
            leaf = self._graph.nodes[number]
            names = leaf.path.split(".") if leaf is not None else []
            if any(".".join(names[:length]) in branch.prefixes for length in lengths):
                yield number

    def _add(self, inside: int, ends: Nodes) -> None:
        num_weights = self._num_weights(inside)
        last = reduce(or_, (self._graph.ends[node] for node in ends))
        for number in members(inside & ~self._within):
            self.of[number] = Branch(self.num, num_weights, bool(last >> number & 1), self._num_extra)
        self._within |= inside
        self.num += 1

    def _join(self, parts: tuple[Nodes, ...]) -> None:
        """Adds the residual branches of a sum: parts that are made from another part, or from the input of another
        part that is a projection."""
        graph = self._graph
        made = [reduce(or_, (graph.before[node] | 1 << node for node in part)) for part in parts]
        every = reduce(or_, made)
        for projections, source, is_part in self._shortcuts(parts):
            behind = reduce(or_, (graph.after[node] for node in source)) & ~as_set(source)

            def counts(inside: int, projections: int = projections, is_part: bool = is_part) -> bool:
                return bool(inside & self._with_parameters) if is_part else self._num_weights(inside) > projections

            if not counts(behind & every):
                continue
            branches = [(part, behind & own) for part, own in zip(parts, made, strict=True) if counts(behind & own)]
            for part, inside in branches:
                self._add(inside, part)
            if branches:
                return

    def _shortcuts(self, parts: tuple[Nodes, ...]) -> list[tuple[int, Nodes, bool]]:
        """The shortcuts that there may be, shortest first: its kernels, its start, and whether that is a part."""
        found: dict[tuple[int, Nodes, bool], None] = {}
        for part in parts:
            found[0, part, True] = None
            for num_weights, source in self._sources(part):
                if (num_weights, source, False) in found:
                    break  # from here on it is the shortcut of another part
                found[num_weights, source, False] = None
        return sorted(found, key=lambda shortcut: shortcut[0])

    def _sources(self, part: Nodes) -> Iterator[tuple[int, Nodes]]:
        """Where a shortcut that ends in a part may start: before layers with one kernel at most."""
        num_weights = 0
        for _ in range(MAX_SHORTCUT):
            leaf = self._graph.nodes[part[0]] if len(part) == 1 else None
            if leaf is None or len(leaf.reads) != 1:
                return
            num_weights += leaf.num_weights
            if num_weights > 1 or any(item.layout.role == "embedding" for item in leaf.facts.parameters):
                return
            part = leaf.reads[0]
            yield num_weights, part

    def _num_weights(self, nodes: int) -> int:
        return sum((nodes & digit).bit_count() << place for place, digit in enumerate(self._digits))


def _digits(numbers: dict[int, int]) -> list[int]:
    """Sets of nodes by the binary digits of their numbers: with these, a sum over a set takes no loop over it."""
    length = max(numbers.values(), default=0).bit_length()
    return [as_set(node for node, number in numbers.items() if number >> place & 1) for place in range(length)]
