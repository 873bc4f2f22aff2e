"""Combinators: layers made of layers. Each is a schema and one method that says who reads what.

`wire` gives the children in execution order; a child reads siblings by name, or `input`, what the combinator itself
reads. The phases know no combinator by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, PositiveInt

from modelforge.layers import registry
from modelforge.layers.registry import LayerType
from modelforge.node import FrozenDict
from modelforge.spec.layer import Layer, Layers, LayerSpec

MAX_TIMES = 10_000


@dataclass(frozen=True, slots=True)
class Child:
    """One child of a combinator: its name, its spec, the field that holds it, and what it reads by default.

    `at` is its override key below the combinator's (a repeated child has one key and many names). `reads` None stands
    for "the child before, or the input".
    """

    name: str
    spec: LayerSpec
    at: str
    reads: tuple[str, ...] | None = None


class Combinator(LayerSpec, ABC):
    """Base of all combinators."""

    @abstractmethod
    def wire(self) -> Iterator[Child]:
        """The children in execution order; the last one's output is the combinator's."""

    def branch(self) -> tuple[str, ...]:
        """Names of the children that make up a residual branch, what is added to its shortcut; none, in most."""
        return ()


CombinatorClass = TypeVar("CombinatorClass", bound=type[Combinator])


def _register(cls: CombinatorClass) -> CombinatorClass:
    registry.register(LayerType(name=cls.__name__, spec=cls, kind="combinator"))
    return cls


def chain(layers: dict[str, LayerSpec], at: str = "layers") -> Iterator[Child]:
    """Layers that follow one another."""
    for name, spec in layers.items():
        yield Child(name, spec, f"{at}.{name}")


@_register
class Sequential(Combinator):
    """Layers that follow one another: y = fₙ(…f₁(x))."""

    type: Literal["Sequential"] = "Sequential"  # pyright: ignore[reportIncompatibleVariableOverride]  # narrower, and frozen
    layers: Layers
    """The layers by name, in execution order."""

    def wire(self) -> Iterator[Child]:
        return chain(self.layers)


@_register
class Residual(Combinator):
    """A main path and a way around it: y = merge(main(x), shortcut(x)). He et al. 2015, arXiv:1512.03385."""

    type: Literal["Residual"] = "Residual"  # pyright: ignore[reportIncompatibleVariableOverride]  # narrower, and frozen
    layers: Layers
    """The main path."""
    shortcut: Layer | None = None
    """One layer (or `Sequential`) on the way around; none means x itself."""
    merge: Layer = Field(default_factory=lambda: _parse("Add"))
    """How the two ends meet: `Add`, `Multiply`, `Concat`, or a layer of your own with two inputs."""

    def wire(self) -> Iterator[Child]:
        *_, last = self.layers
        yield from chain(self.layers)
        around = "input"
        if self.shortcut is not None:
            yield Child("shortcut", self.shortcut, "shortcut", ("input",))
            around = "shortcut"
        yield Child("merge", self.merge, "merge", (last, around))

    def branch(self) -> tuple[str, ...]:
        return tuple(self.layers) if self.merge.type == "Add" else ()


@_register
class Parallel(Combinator):
    """Branches that all read the same: y = merge(f₁(x), …, fₙ(x))."""

    type: Literal["Parallel"] = "Parallel"  # pyright: ignore[reportIncompatibleVariableOverride]  # narrower, and frozen
    branches: Layers
    """The branches by name; each is one layer or a `Sequential`."""
    merge: Layer = Field(default_factory=lambda: _parse("Concat"))
    """How they meet: `Concat` (default, along dimension 1), `Add`, `Multiply`, or a layer of your own."""

    def wire(self) -> Iterator[Child]:
        for name, spec in self.branches.items():
            yield Child(name, spec, f"branches.{name}", ("input",))
        yield Child("merge", self.merge, "merge", tuple(self.branches))


@_register
class Repeat(Combinator):
    """Independent copies `0`, `1`, … of the same layers, one after the other; no copy shares a value with another.

    Of several inputs, the first goes through the copies, and all copies read the others as they are: `input.1`, ….
    """

    type: Literal["Repeat"] = "Repeat"  # pyright: ignore[reportIncompatibleVariableOverride]  # narrower, and frozen
    times: Annotated[PositiveInt, Field(le=MAX_TIMES)]
    """How many copies."""
    layers: Layers
    """What each copy holds."""

    def wire(self) -> Iterator[Child]:
        copy = sequence(self.layers)
        others = tuple(f"input.{number}" for number in range(1, len(self.inputs or ())))
        for index in range(self.times):
            first = str(index - 1) if index else "input"
            yield Child(str(index), copy, "", (first, *others) if others else None)


def sequence(layers: Mapping[str, LayerSpec]) -> Combinator:
    """Layers that were checked already, one after the other."""
    return Sequential.model_construct(type="Sequential", layers=layers)


def _parse(name: str) -> LayerSpec:
    return registry.get(name).spec.model_validate({"type": name})


def children(spec: LayerSpec) -> FrozenDict[str, Any]:
    """Children by name; empty for a layer that is not a combinator."""
    return (
        FrozenDict({child.name: child.spec for child in spec.wire()}) if isinstance(spec, Combinator) else FrozenDict()
    )
