"""flow: a plan → its leaves in execution order, each with the tensors that it reads by who makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from modelforge.planning.layer_plan import LayerPlan
from modelforge.planning.plan import Plan
from modelforge.planning.references import Read


@dataclass(frozen=True, slots=True)
class Source:
    """A tensor: a part of what a leaf gives, or an input of the model."""

    maker: str
    """The path of the leaf, or `@` and the name of the input."""
    index: tuple[int, ...] = ()


Ref: TypeAlias = "Source | tuple[Source, ...]"
"""What a name stands for; several tensors for a combinator that reads several."""


@dataclass(frozen=True, slots=True)
class LeafLayer:
    """A layer that is not made of layers, and what it reads."""

    layer: LayerPlan
    reads: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class LeafGraph:
    """All leaves in execution order, and the results of the model."""

    leaves: tuple[LeafLayer, ...]
    results: Mapping[str, Source]


def flow(plan: Plan) -> LeafGraph:
    """The leaves of a plan, with the combinators around them taken away."""
    scope: dict[str, Ref] = {name: Source(f"@{name}") for name in plan.inputs}
    leaves = tuple(_children(plan.root, scope))
    return LeafGraph(leaves, {name: _whole(_at(scope, read)) for name, read in plan.results.items()})


def _children(layer: LayerPlan, scope: dict[str, Ref]) -> Iterator[LeafLayer]:
    """The leaves below a combinator; `scope` gains the names of its children."""
    for child in layer.children:
        reads = [_at(scope, read) for read in child.reads]
        if not child.children:
            yield LeafLayer(child, tuple(map(_whole, reads)))
            scope[child.name] = Source(child.path)
            continue
        arrive, around = reads[: len(reads) - len(child.captured)], reads[len(reads) - len(child.captured) :]
        whole = arrive[0] if len(arrive) == 1 else tuple(map(_whole, arrive))
        inner: dict[str, Ref] = {"input": whole, **dict(zip(child.captured, around, strict=True))}
        yield from _children(child, inner)
        scope[child.name] = inner[child.children[-1].name]


def _at(scope: Mapping[str, Ref], read: Read) -> Ref:
    ref, path = scope[read.source], read.path
    if isinstance(ref, tuple):
        if not path:
            return ref
        ref, path = ref[path[0]], path[1:]
    return Source(ref.maker, ref.index + path)


def _whole(ref: Ref) -> Source:
    """The one tensor that a reference means: the first of several."""
    return ref[0] if isinstance(ref, tuple) else ref
