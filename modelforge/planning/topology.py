"""Topology: which leaf reads which, which activations follow, and where the residual branches are.

Filled leaf by leaf in execution order, and asked once the whole model is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from modelforge.core.matrix import Activation, Branch, Context
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
    """For each of its inputs the leaves that make it, or the input of the model that it is."""
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
        """Whether what comes out may have another width than what goes in, by weights or a table of its own."""
        roles = {item.layout.role for item in self.facts.parameters}
        looks_up = "embedding" in roles and registry.get(self.type).kind != "passthrough"
        return looks_up or not KERNELS.isdisjoint(roles)

    @property
    def num_weights(self) -> int:
        """Modules in it with a kernel."""
        return len({item.owner for item in self.facts.parameters if item.layout.role == "weight"})


class Topology:
    """The leaves of a model and how they hang together."""

    def __init__(self) -> None:
        self._order: list[str] = []
        self._leaves: dict[str, _Leaf] = {}
        self._consumers: dict[str, list[str]] = {}
        self._followers: dict[str, tuple[Activation, ...] | None] = {}
        self._branches: dict[str, Branch] = {}
        self._outputs: frozenset[str] = frozenset()
        self._as_wide_as_output: frozenset[str] = frozenset()
        self._num_branches = 0
        self._passing: dict[_Stop, tuple[int, Collection[str]]] = {}

    @property
    def num_leaves(self) -> int:
        return len(self._order)

    def add_leaf(
        self, path: str, type_name: str, facts: LayerFacts, reads: tuple[tuple[str, ...], ...], *, counts: bool = True
    ) -> None:
        """A leaf, after those that it reads.

        Args:
            path: Its path.
            type_name: Its type.
            facts: What is known of it.
            reads: For each of its inputs the leaves that make it; a name that is no leaf's is an input of the model.
            counts: Whether a sum may join residual branches; not where a combinator says which it joins.
        """
        self._order.append(path)
        leaf = self._leaves[path] = _Leaf(type_name, facts, len(self._order), reads, self._num_branches)
        self._num_branches += facts.num_branches
        for maker in leaf.makers:
            self._consumers.setdefault(maker, []).append(path)
        if counts and registry.get(type_name).joins == "sum":
            self._join(reads)

    def add_branch(self, prefixes: Collection[str], ends: Collection[str], start: int) -> None:
        """A residual branch: all leaves at or below `prefixes`, none of them before number `start`; `ends` make what it
        adds. Inner branches come first."""
        later = self._order[start:]
        self._add([path for path in later if any(_is_below(path, prefix) for prefix in prefixes)], ends)

    def _add(self, inside: Collection[str], ends: Collection[str]) -> None:
        num_weights = self._num_weights(inside)
        last = self._with_parameters(ends)
        for path in inside:
            self._branches.setdefault(path, Branch(self._num_branches, num_weights, path in last))
        self._num_branches += 1

    def _join(self, parts: tuple[tuple[str, ...], ...]) -> None:
        """The residual branches of a sum: its parts that are made from another part, or from what that one projects."""
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
        """What a shortcut may start from: the part itself, and what layers with at most one kernel made it from."""
        num_weights = 0
        yield num_weights, part
        while len(part) == 1 and (leaf := self._leaves.get(part[0])) is not None and len(leaf.reads) == 1:
            num_weights += leaf.num_weights
            if num_weights > 1 or any(item.layout.role == "embedding" for item in leaf.facts.parameters):
                return
            part = leaf.reads[0]
            yield num_weights, part

    def _between(self, source: tuple[str, ...], part: tuple[str, ...]) -> list[str]:
        """The leaves by which a part is made from `source`, in order; none where it is not."""
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
        """The leaves that make the model's output."""
        self._outputs = self._with_parameters(makers)
        self._as_wide_as_output = frozenset(self._back(makers, "has_kernels"))

    def context(self, path: str, item: ParameterFacts) -> Context:
        """Where a parameter of the leaf at `path` stands."""
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
            reads_input=item is first and self._reads_input(path),
            gives_output=item.makes_output and path in self._outputs,
            input_width=_reads_first(item, first, leaf) and self._has_input_width(path),
            output_width=item.makes_output and path in self._as_wide_as_output,
            known=leaf.facts.inside_known,
        )

    def follows(self, path: str, item: ParameterFacts) -> tuple[Activation, ...] | None:
        """The activations that read what a parameter of the leaf at `path` makes; None where they are not known."""
        if item.follows == "output":
            return self.following(path)
        return item.follows if isinstance(item.follows, tuple) else None

    def following(self, path: str) -> tuple[Activation, ...] | None:
        """The distinct activations that read what the leaf at `path` makes, through layers that only pass it on.

        None where one of the readers is of a kind that is not known.
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
        """The nearest leaves with parameters, at these or before them; gates only multiply what the others make."""
        return frozenset(path for path in self._back(paths, gates=False) if self._leaves[path].has_parameters)

    def _reads_input(self, path: str) -> bool:
        return self._meets_input(path, "has_parameters")

    def _has_input_width(self, path: str) -> bool:
        return self._meets_input(path, "has_kernels")

    def _meets_input(self, path: str, stop: _Stop) -> bool:
        """Whether an input of the model reaches a leaf past none that `stop` is true of."""
        return any(maker not in self._leaves or maker in self._reached(stop) for maker in self._leaves[path].makers)

    def _reached(self, stop: _Stop) -> Collection[str]:
        """The leaves that pass on what an input of the model reaches them with: `stop` is true of none of them."""
        if stop not in self._passing or self._passing[stop][0] != self.num_leaves:
            found: set[str] = set()
            for path in self._order:
                leaf = self._leaves[path]
                if not getattr(leaf, stop) and any(it in found or it not in self._leaves for it in leaf.makers):
                    found.add(path)
            self._passing[stop] = self.num_leaves, found
        return self._passing[stop][1]

    def _back(self, paths: Collection[str], stop: _Stop = "has_parameters", *, gates: bool = True) -> Iterator[str]:
        """These leaves, and those before them up to the first that `stop` is true of on each way."""
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
        """The makers of what a leaf passes on: of a product, those of the parts that are no gates of another."""
        if registry.get(leaf.type).joins != "product":
            return leaf.makers
        gated = [part for index, part in enumerate(leaf.reads) if not self._is_gate(index, leaf.reads)]
        return [maker for part in gated or leaf.reads for maker in part]

    def _is_gate(self, index: int, parts: tuple[tuple[str, ...], ...]) -> bool:
        """Whether a part says how far the others pass: it is made from one of them, or is a share of 1."""
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
    """Whether a parameter is what meets the input of its layer: the first kernel and its like; or, in a layer without
    any, what it adds or multiplies by."""
    if item.layout.role not in KERNELS:
        return not leaf.has_kernels
    return item is first or item.layout.reads_input


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}.")


def _activation(type_name: str, arguments: Mapping[str, Any]) -> Activation:
    layer = registry.get(type_name)
    assert layer.make is not None
    module = layer.make(**arguments).eval()
    for weight in module.parameters():
        weight.requires_grad_(False)
    shown = ", ".join(f"{name}={value}" for name, value in arguments.items())
    return Activation(f"{type_name}({shown})" if shown else type_name, module)
