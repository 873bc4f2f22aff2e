"""Topology: which leaf reads which, which activations follow, and where the residual branches are.

Filled leaf by leaf in execution order, and asked once the whole model is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from modelforge.block import Activation, Branch, Context
from modelforge.layers import registry
from modelforge.shapes import LayerFacts, ParameterFacts

_Stop = Literal["has_parameters", "has_kernels"]
KERNELS = frozenset({"weight", "recurrent"})
"""Roles of parameters that are matrices between two widths."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A layer that is not made of layers; `makers` are the leaves that it reads, `first_branch` numbers its own."""

    type: str
    facts: LayerFacts
    makers: tuple[str, ...]
    reads_input: bool
    first_branch: int

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

    @property
    def num_leaves(self) -> int:
        return len(self._order)

    def add_leaf(
        self, path: str, type_name: str, facts: LayerFacts, makers: tuple[str, ...], *, reads_input: bool
    ) -> None:
        """A leaf, after those that it reads; `reads_input` where it reads an input of the model itself."""
        self._order.append(path)
        self._leaves[path] = _Leaf(type_name, facts, makers, reads_input, self._num_branches)
        self._num_branches += facts.num_branches
        for maker in makers:
            self._consumers.setdefault(maker, []).append(path)

    def add_branch(self, prefixes: Collection[str], ends: Collection[str], start: int) -> None:
        """A residual branch: all leaves at or below `prefixes`, none of them before number `start`; `ends` make what it
        adds. Inner branches come first."""
        later = self._order[start:]
        inside = [path for path in later if any(_is_below(path, prefix) for prefix in prefixes)]
        num_weights = sum(self._leaves[path].num_weights for path in inside)
        last = self._with_parameters(ends)
        for path in inside:
            self._branches.setdefault(path, Branch(self._num_branches, num_weights, path in last))
        self._num_branches += 1

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
        )

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
                kind = registry.get(leaf.type).kind
                known = known and kind != "unknown"
                if kind == "activation":
                    found[_activation(leaf.type, leaf.facts.arguments)] = None
                elif kind == "passthrough":
                    pending.extend(self._consumers.get(consumer, ()))
            self._followers[path] = tuple(found) if known else None
        return self._followers[path]

    def _with_parameters(self, paths: Collection[str]) -> frozenset[str]:
        """The nearest leaves with parameters, at these or before them."""
        return frozenset(path for path in self._back(paths) if self._leaves[path].has_parameters)

    def _reads_input(self, path: str) -> bool:
        leaf = self._leaves[path]
        before = self._back(leaf.makers)
        return leaf.reads_input or any(
            self._leaves[other].reads_input and not self._leaves[other].has_parameters for other in before
        )

    def _has_input_width(self, path: str) -> bool:
        leaf = self._leaves[path]
        before = self._back(leaf.makers, "has_kernels")
        return leaf.reads_input or any(
            self._leaves[other].reads_input and not self._leaves[other].has_kernels for other in before
        )

    def _back(self, paths: Collection[str], stop: _Stop = "has_parameters") -> Iterator[str]:
        """These leaves, and those before them up to the first that `stop` is true of on each way."""
        seen: set[str] = set()
        pending = list(paths)
        while pending:
            path = pending.pop()
            if path not in seen:
                seen.add(path)
                yield path
                if not getattr(self._leaves[path], stop):
                    pending.extend(self._leaves[path].makers)


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
