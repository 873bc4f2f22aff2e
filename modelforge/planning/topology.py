"""Topology: the graph of a model's leaves, with the activations and residual branches in it.

Leaves are added in execution order; questions are answered once the whole model is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Activation, Context
from modelforge.language import registry
from modelforge.planning.branches import Branches, Declared
from modelforge.planning.graph import KERNELS, Graph, Leaf, members
from modelforge.planning.study import LayerFacts, ParameterFacts

_Stop = Literal["has_parameters", "has_kernels"]
_UNKNOWN = 0
"""The number of what is no known activation, among the activations that read an output."""


class Topology:
    """The leaves of a model and their connections."""

    def __init__(self) -> None:
        self._graph = Graph()
        self._sums: set[int] = set()
        self._declared: list[Declared] = []
        self._makers: tuple[int, ...] = ()
        self._followers: dict[int, tuple[Activation, ...] | None] = {}
        self._values: Mapping[str, float | None] = {}

    @property
    def num_nodes(self) -> int:
        """The number of leaves, and of inputs that they read."""
        return len(self._graph.nodes)

    def add_leaf(
        self, path: str, type_name: str, facts: LayerFacts, reads: tuple[tuple[str, ...], ...], *, counts: bool = True
    ) -> None:
        """Adds a leaf, after those that it reads.

        Args:
            path: Its path.
            type_name: Its type.
            facts: Its facts.
            reads: For each of its inputs the leaves that make it; a name of no leaf is an input of the model.
            counts: Whether a sum may join residual branches; not where a combinator declares the branches.
        """
        number = self._graph.add(path, type_name, facts, reads)
        if counts and registry.get(type_name).joins == "sum":
            self._sums.add(number)

    def add_branch(self, prefixes: Collection[str], ends: Collection[str], start: int) -> None:
        """Adds a residual branch, after the branches inside of it.

        Args:
            prefixes: Its leaves are those at or below these paths.
            ends: The leaves that make its output.
            start: The number of nodes before it.
        """
        leaves = tuple(end for end in ends if end in self._graph.numbers)
        self._declared.append(Declared(frozenset(prefixes), leaves, start, self.num_nodes))

    def set_output(self, makers: Collection[str]) -> None:
        """Declares the leaves that make the model's output."""
        self._makers = tuple(self._graph.numbers[maker] for maker in makers if maker in self._graph.numbers)

    def set_values(self, values: Mapping[str, float | None]) -> None:
        """Says what the parameters of activations start with, by path; None for what is not one number."""
        self._values = values

    def context(self, path: str, item: ParameterFacts) -> Context:
        """The context of a parameter of the leaf at `path`."""
        number, leaf = self._leaf(path)
        branch = self._branches.of.get(number)
        if item.branch is not None:
            before, extra = self._branches.first[number], self._branches.extra[number]
            branch = replace(item.branch, index=item.branch.index + before, extra=item.branch.extra + extra)
        elif branch is not None:
            branch = replace(branch, ends=branch.ends and item.makes_output)
        first = next((own for own in leaf.facts.parameters if own.layout.role in ("weight", "embedding")), None)
        return Context(
            self._branches.num,
            branch,
            reads_input=item is first and self._meets_input(leaf, "has_parameters"),
            gives_output=item.makes_output and number in self._outputs,
            input_width=_reads_first(item, first, leaf) and self._meets_input(leaf, "has_kernels"),
            output_width=item.makes_output and number in self._as_wide_as_output,
            known=leaf.facts.inside_known,
        )

    def follows(self, path: str, item: ParameterFacts) -> tuple[Activation, ...] | None:
        """The activations that read the output of a parameter of the leaf at `path`; None where they are not known."""
        if item.follows == "output":
            return self.next_activations(path)
        return item.follows if isinstance(item.follows, tuple) else None

    def next_activations(self, path: str) -> tuple[Activation, ...] | None:
        """The distinct activations that read the output of the leaf at `path`, through layers that only pass it on.

        None where a reader is of unknown kind.
        """
        number, _ = self._leaf(path)
        if (readers := self._readers[number]) not in self._followers:
            known = [*self._activations.items()]
            found = [*members(readers)]
            self._followers[readers] = (
                None if _UNKNOWN in found else tuple(self._activation(*known[kind - 1]) for kind in found)
            )
        return self._followers[readers]

    def _leaf(self, path: str) -> tuple[int, Leaf]:
        number = self._graph.numbers[path]
        leaf = self._graph.nodes[number]
        assert leaf is not None, "asked only for leaves"
        return number, leaf

    def _starts(self, leaf: Leaf) -> dict[str, float | None]:
        """The values that an activation's own parameters are known to start with, by name."""
        paths = {item.name: f"{leaf.path}.{item.name}" for item in leaf.facts.parameters}
        return {name: self._values[path] for name, path in paths.items() if path in self._values}

    def _shown(self, leaf: Leaf) -> str:
        """A layer by its type, its arguments and what its parameters start with."""
        given = {**leaf.facts.arguments, **self._starts(leaf)}
        arguments = ", ".join(f"{name}={value}" for name, value in given.items())
        return f"{leaf.layer.name}({arguments})" if arguments else leaf.layer.name

    def _activation(self, name: str, leaf: Leaf) -> Activation:
        """The function of an activation as it starts, whatever its constructor wrote."""
        assert leaf.layer.make is not None
        module = leaf.layer.make(**leaf.facts.arguments).eval()
        for weight in module.parameters():
            weight.requires_grad_(False)
        for own, value in self._starts(leaf).items():
            if value is None:
                return Activation(name, _Undecided(leaf.layer.name, own))
            module.get_parameter(own).fill_(value)
        return Activation(name, module)

    # What follows is known once the graph is complete.

    @cached_property
    def _branches(self) -> Branches:
        return Branches(self._graph, self._sums, self._declared)

    @cached_property
    def _readers(self) -> list[int]:
        """For each node, the set of the numbers of the activations that read its output."""
        numbers = {name: number for number, name in enumerate(self._activations, _UNKNOWN + 1)}
        found = [0] * len(self._graph.nodes)
        for node, leaf in reversed([*self._graph.leaves()]):
            seen = found[node] if leaf.layer.kind == "passthrough" else 0
            if leaf.layer.kind == "activation":
                seen = 1 << numbers[self._shown(leaf)]
            elif leaf.layer.kind == "unknown":
                seen = 1 << _UNKNOWN
            for maker in leaf.makers:
                found[maker] |= seen
        return found

    @cached_property
    def _activations(self) -> dict[str, Leaf]:
        """The different activations by name, each with the first layer of it."""
        found: dict[str, Leaf] = {}
        for _, leaf in self._graph.leaves():
            if leaf.layer.kind == "activation":
                found.setdefault(self._shown(leaf), leaf)
        return found

    @cached_property
    def _outputs(self) -> frozenset[int]:
        return frozenset(node for maker in self._makers for node in members(self._graph.ends[maker]))

    @cached_property
    def _as_wide_as_output(self) -> frozenset[int]:
        """The leaves at the output and before it, on each path up to the first with kernels."""
        found: set[int] = set()
        pending = [*self._makers]
        while pending:
            number = pending.pop()
            leaf = self._graph.nodes[number]
            if leaf is not None and number not in found:
                found.add(number)
                pending.extend(() if leaf.has_kernels else leaf.makers)
        return frozenset(found)

    def _meets_input(self, leaf: Leaf, stop: _Stop) -> bool:
        """Whether an input of the model reaches a leaf through leaves for which `stop` is false."""
        return any(self._passed[stop][maker] for maker in leaf.makers)

    @cached_property
    def _passed(self) -> Mapping[_Stop, list[bool]]:
        """For each node, whether an input of the model reaches it, and passes: `stop` is false for all on the way."""
        found: dict[_Stop, list[bool]] = {}
        for stop in get_args(_Stop):
            passed = found[stop] = [leaf is None for leaf in self._graph.nodes]
            for number, leaf in self._graph.leaves():
                passed[number] = not getattr(leaf, stop) and any(passed[maker] for maker in leaf.makers)
        return found


def _reads_first(item: ParameterFacts, first: ParameterFacts | None, leaf: Leaf) -> bool:
    """Whether a parameter meets the input of its layer first: the first kernel and those beside it, or in a layer
    without kernels any parameter."""
    if item.layout.role not in KERNELS:
        return not leaf.has_kernels
    return item is first or item.layout.reads_input


@dataclass(frozen=True, slots=True)
class _Undecided:
    """Stands for an activation of which a parameter starts as no single number."""

    layer: str
    parameter: str

    def __call__(self, x: Tensor) -> Tensor:
        reason = f"the {self.layer} that follows is not decided: its `{self.parameter}` starts as no single number"
        raise Refusal(reason, "give that parameter one, as in `{scheme: constant, value: 0.25}`, or name a gain")
