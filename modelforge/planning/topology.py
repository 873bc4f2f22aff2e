"""Topology: the graph of a model's leaves, with the activations and residual branches in it.

Leaves are added in execution order; questions are answered once the whole model is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from modelforge.core.matrix import Activation, Branch, Context
from modelforge.core.paths import is_below
from modelforge.language import registry
from modelforge.language.registry import Kind
from modelforge.planning.study import LayerFacts, ParameterFacts

_Stop = Literal["has_parameters", "has_kernels"]
KERNELS = frozenset({"weight", "recurrent"})
"""Roles of parameters that are matrices between two widths."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A layer that is not made of layers; `first_branch` numbers the residual branches inside it."""

    type: str
    facts: LayerFacts
    number: int
    reads: tuple[tuple[str, ...], ...]
    """For each of its inputs the leaves that make it, or the model's input."""
    first_branch: int

    @property
    def makers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(maker for part in self.reads for maker in part))

    @property
    def kind(self) -> Kind:
        return registry.get(self.type).kind

    @property
    def has_parameters(self) -> bool:
        return bool(self.facts.parameters)

    @property
    def has_kernels(self) -> bool:
        """Whether its output may have another width than its input, by weights or a table of its own."""
        roles = {item.layout.role for item in self.facts.parameters}
        looks_up = "embedding" in roles and registry.get(self.type).kind != "passthrough"
        return looks_up or not KERNELS.isdisjoint(roles)

    @property
    def num_weights(self) -> int:
        """The number of modules in it with a kernel."""
        return len({item.owner for item in self.facts.parameters if item.layout.role == "weight"})


class Topology:
    """The leaves of a model and their connections."""

    def __init__(self) -> None:
        self._leaves: dict[str, _Leaf] = {}
        """In execution order."""
        self._consumers: dict[str, list[str]] = {}
        self._followers: dict[str, tuple[Activation, ...] | None] = {}
        self._branches: dict[str, Branch] = {}
        self._outputs: frozenset[str] = frozenset()
        self._as_wide_as_output: frozenset[str] = frozenset()
        self._num_branches = 0
        self._passing: dict[_Stop, tuple[int, Collection[str]]] = {}

    @property
    def num_leaves(self) -> int:
        return len(self._leaves)

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
        leaf = self._leaves[path] = _Leaf(type_name, facts, len(self._leaves) + 1, reads, self._num_branches)
        self._num_branches += facts.num_branches
        for maker in leaf.makers:
            self._consumers.setdefault(maker, []).append(path)
        if counts and registry.get(type_name).joins == "sum":
            self._join(reads)

    def add_branch(self, prefixes: Collection[str], ends: Collection[str], start: int) -> None:
        """Adds a residual branch, after the branches inside of it.

        Args:
            prefixes: Its leaves are those at or below these paths.
            ends: The leaves that make its output.
            start: The number of leaves before it.
        """
        later = islice(self._leaves, start, None)
        self._add([path for path in later if any(is_below(path, prefix) for prefix in prefixes)], ends)

    def _add(self, inside: Collection[str], ends: Collection[str]) -> None:
        num_weights = self._num_weights(inside)
        last = self._with_parameters(ends)
        for path in inside:
            self._branches.setdefault(path, Branch(self._num_branches, num_weights, path in last))
        self._num_branches += 1

    def _join(self, parts: tuple[tuple[str, ...], ...]) -> None:
        """Adds the residual branches of a sum: parts that are made from another part, or from the input of another
        part that is a projection."""
        shortcuts = [(*found, index) for index, part in enumerate(parts) for found in self._sources(part)]
        for projections, source, index in sorted(shortcuts, key=lambda item: item[0]):
            found = False
            for other in (*parts[:index], *parts[index + 1 :]):
                inside = self._between(source, other)
                if source == parts[index]:
                    counts = any(self._leaves[path].has_parameters for path in inside)
                else:
                    counts = self._num_weights(inside) > projections
                if counts:
                    self._add(inside, other)
                    found = True
            if found:
                return

    def _sources(self, part: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Where a shortcut may start, and its kernels: at the part itself, or before layers with one kernel at most."""
        num_weights = 0
        yield num_weights, part
        while len(part) == 1 and (leaf := self._leaves.get(part[0])) is not None and len(leaf.reads) == 1:
            num_weights += leaf.num_weights
            if num_weights > 1 or any(item.layout.role == "embedding" for item in leaf.facts.parameters):
                return
            part = leaf.reads[0]
            yield num_weights, part

    def _between(self, source: tuple[str, ...], part: tuple[str, ...]) -> list[str]:
        """The leaves between `source` and a part, in order; none where the part is not made from it."""
        start = min((self._leaves[path].number for path in source if path in self._leaves), default=0)
        seen: set[str] = set()
        pending = list(part)
        while pending:
            path = pending.pop()
            leaf = self._leaves.get(path)
            if leaf is None or path in seen or path in source or leaf.number < start:
                continue
            seen.add(path)
            pending.extend(leaf.makers)
        made: dict[str, None] = {}
        for path in sorted(seen, key=lambda path: self._leaves[path].number):
            if any(maker in source or maker in made for maker in self._leaves[path].makers):
                made[path] = None
        return list(made) if any(path in made for path in part) else []

    def _num_weights(self, paths: Iterable[str]) -> int:
        return sum(self._leaves[path].num_weights for path in paths)

    def set_output(self, makers: Collection[str]) -> None:
        """Declares the leaves that make the model's output."""
        self._outputs = self._with_parameters(makers)
        self._as_wide_as_output = frozenset(self._back(makers, "has_kernels"))

    def context(self, path: str, item: ParameterFacts) -> Context:
        """The context of a parameter of the leaf at `path`."""
        leaf = self._leaves[path]
        branch = self._branches.get(path)
        if item.branch is not None:
            branch = replace(item.branch, index=item.branch.index + leaf.first_branch)
        elif branch is not None:
            branch = replace(branch, ends=branch.ends and item.makes_output)
        first = next((own for own in leaf.facts.parameters if own.layout.role in ("weight", "embedding")), None)
        return Context(
            self._num_branches,
            branch,
            reads_input=item is first and self._meets_input(path, "has_parameters"),
            gives_output=item.makes_output and path in self._outputs,
            input_width=_reads_first(item, first, leaf) and self._meets_input(path, "has_kernels"),
            output_width=item.makes_output and path in self._as_wide_as_output,
            known=leaf.facts.inside_known,
        )

    def follows(self, path: str, item: ParameterFacts) -> tuple[Activation, ...] | None:
        """The activations that read the output of a parameter of the leaf at `path`; None where they are not known."""
        if item.follows == "output":
            return self.following(path)
        return item.follows if isinstance(item.follows, tuple) else None

    def following(self, path: str) -> tuple[Activation, ...] | None:
        """The distinct activations that read the output of the leaf at `path`, through layers that only pass it on.

        None where a reader is of unknown kind.
        """
        if path not in self._followers:
            found: dict[Activation, None] = {}
            known = True
            seen, pending = {path}, list(self._consumers.get(path, ()))
            while pending:
                consumer = pending.pop(0)
                if consumer in seen:
                    continue
                seen.add(consumer)
                leaf = self._leaves[consumer]
                kind = leaf.kind
                known = known and kind != "unknown"
                if kind == "activation":
                    found[_activation(leaf.type, leaf.facts.arguments)] = None
                elif kind == "passthrough":
                    pending.extend(self._consumers.get(consumer, ()))
            self._followers[path] = tuple(found) if known else None
        return self._followers[path]

    def _with_parameters(self, paths: Collection[str]) -> frozenset[str]:
        """The nearest leaves with parameters, at these or before them, gates left out."""
        return frozenset(path for path in self._back(paths, gates=False) if self._leaves[path].has_parameters)

    def _meets_input(self, path: str, stop: _Stop) -> bool:
        """Whether an input of the model reaches a leaf through leaves for which `stop` is false."""
        return any(maker not in self._leaves or maker in self._reached(stop) for maker in self._leaves[path].makers)

    def _reached(self, stop: _Stop) -> Collection[str]:
        """The leaves that an input of the model reaches and passes: `stop` is false for all of them."""
        if stop not in self._passing or self._passing[stop][0] != self.num_leaves:
            found: set[str] = set()
            for path, leaf in self._leaves.items():
                if not getattr(leaf, stop) and any(it in found or it not in self._leaves for it in leaf.makers):
                    found.add(path)
            self._passing[stop] = self.num_leaves, found
        return self._passing[stop][1]

    def _back(self, paths: Collection[str], stop: _Stop = "has_parameters", *, gates: bool = True) -> Iterator[str]:
        """These leaves and those before them, on each path up to the first for which `stop` is true."""
        seen: set[str] = set()
        pending = list(paths)
        while pending:
            path = pending.pop()
            if path in self._leaves and path not in seen:
                seen.add(path)
                yield path
                leaf = self._leaves[path]
                if not getattr(leaf, stop):
                    pending.extend(leaf.makers if gates else self._main(leaf))

    def _main(self, leaf: _Leaf) -> Iterable[str]:
        """The makers of a leaf's main input: of a product the makers of all factors but gates."""
        if registry.get(leaf.type).joins != "product":
            return leaf.makers
        gated = [part for index, part in enumerate(leaf.reads) if not self._is_gate(index, leaf.reads)]
        return [maker for part in gated or leaf.reads for maker in part]

    def _is_gate(self, index: int, parts: tuple[tuple[str, ...], ...]) -> bool:
        """Whether a factor scales the others: it is made from one of them, or lies between 0 and 1."""
        part = parts[index]
        if any(self._between(other, part) for other in (*parts[:index], *parts[index + 1 :])):
            return True
        while len(part) == 1 and (leaf := self._leaves.get(part[0])) is not None:
            if registry.get(leaf.type).is_share:
                return True
            if leaf.kind != "passthrough" or leaf.has_parameters or len(leaf.reads) != 1:
                return False
            part = leaf.reads[0]
        return False


def _reads_first(item: ParameterFacts, first: ParameterFacts | None, leaf: _Leaf) -> bool:
    """Whether a parameter meets the input of its layer first: the first kernel and those beside it, or in a layer
    without kernels any parameter."""
    if item.layout.role not in KERNELS:
        return not leaf.has_kernels
    return item is first or item.layout.reads_input


def _activation(type_name: str, arguments: Mapping[str, Any]) -> Activation:
    layer = registry.get(type_name)
    assert layer.make is not None
    module = layer.make(**arguments).eval()
    for weight in module.parameters():
        weight.requires_grad_(False)
    shown = ", ".join(f"{name}={value}" for name, value in arguments.items())
    return Activation(f"{type_name}({shown})" if shown else type_name, module)
