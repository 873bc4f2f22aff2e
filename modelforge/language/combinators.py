"""Combinators: layers made of layers. Each is a schema and one method that says who reads what.

`wire` gives the children in execution order; a child reads siblings by name, or `input`, what the combinator itself
reads. The phases know no combinator by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from modelforge.core.complaints import all_wrong, too_large, wrong
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.limits import MAX_PARTS
from modelforge.language import registry
from modelforge.language.init import Init
from modelforge.language.layer import LayerSpec
from modelforge.language.nested import Layer, Layers
from modelforge.language.registry import LayerType

BLOCKS = "model.blocks"
"""The override key of what blocks are declared in."""


@dataclass(frozen=True, slots=True)
class Child:
    """One child of a combinator: its name, its spec, the field that holds it, and what it reads by default.

    `at` is its override key below the combinator's (a repeated child has one key and many names), or below `root` where
    that is given. `reads` None stands for "the child before, or the input".
    """

    name: str
    spec: LayerSpec
    at: str
    reads: tuple[str, ...] | None = None
    root: str = ""


class BlockUse(Node):
    """Of layers that a block declares: which block, with which arguments, and how it says that they start."""

    name: str
    """The block's name under `model.blocks`."""
    arguments: Annotated[dict[str, Any], AfterValidator(FrozenDict)] = FrozenDict()
    """The values of its arguments."""
    init: Init | None = None
    """The block's own init; what the use says goes before it."""

    @property
    def key(self) -> str:
        """The override key of the block."""
        return f"{BLOCKS}.{self.name}"


class Combinator(LayerSpec, ABC):
    """Base of all combinators."""

    @abstractmethod
    def wire(self) -> Iterator[Child]:
        """The children in execution order; the last one's output is the combinator's."""

    def branch(self) -> tuple[str, ...]:
        """Names of the children that make up a residual branch, which is added to its shortcut; most have none."""
        return ()

    def declared_by(self) -> BlockUse | None:
        """The block that declares its layers, if one does."""
        return None


def _free(layers: Mapping[str, LayerSpec]) -> Mapping[str, LayerSpec]:
    """Layers that are not called as what a combinator puts beside them."""
    if taken := [name for name in ("shortcut", "merge") if name in layers]:
        reason = "`{}` cannot name a layer here: a combinator with a `merge` uses this name itself"
        raise all_wrong(((name,), wrong("MF016", reason.format(name), part="key")) for name in taken)
    return layers


BesideMerge = Annotated[Layers, AfterValidator(_free)]
"""Layers by name, beside a `merge` and perhaps a `shortcut`."""

CombinatorClass = TypeVar("CombinatorClass", bound=type[Combinator])


def _register(cls: CombinatorClass) -> CombinatorClass:
    registry.LAYERS.add(cls.__name__, LayerType(name=cls.__name__, declare=lambda: cls, kind="combinator"))
    return cls


def chain(layers: Mapping[str, LayerSpec], root: str = "") -> Iterator[Child]:
    """Layers that follow one another."""
    for name, spec in layers.items():
        yield Child(name, spec, f"layers.{name}", root=root)


@_register
class Sequential(Combinator):
    """Layers that follow one another: y = fₙ(…f₁(x))."""

    type: Literal["Sequential"] = "Sequential"  # pyright: ignore[reportIncompatibleVariableOverride]  # narrower, and frozen
    layers: Layers
    """The layers by name, in execution order."""
    block: BlockUse | None = None
    """The block that they were declared in; written by `blocks:`, not by hand."""
    holds_layers = ("layers",)
    made_fields = frozenset({"block"})

    def wire(self) -> Iterator[Child]:
        return chain(self.layers, self.block.key if self.block else "")

    def declared_by(self) -> BlockUse | None:
        return self.block


@_register
class Residual(Combinator):
    """A main path and a way around it: y = merge(main(x), shortcut(x)). He et al. 2015, arXiv:1512.03385."""

    type: Literal["Residual"] = "Residual"  # pyright: ignore[reportIncompatibleVariableOverride]  # narrower, and frozen
    layers: BesideMerge
    """The main path."""
    shortcut: Layer | None = None
    """One layer (or `Sequential`) on the way around; none means x itself."""
    merge: Layer = Field(default_factory=lambda: _parse("Add"))
    """How the two ends meet: `Add`, `Multiply`, `Concat`, or a layer of your own with two inputs."""
    holds_layers = ("layers",)
    holds_layer = ("shortcut", "merge")

    def wire(self) -> Iterator[Child]:
        *_, last = self.layers
        yield from chain(self.layers)
        around = "input"
        if self.shortcut is not None:
            yield Child("shortcut", self.shortcut, "shortcut", ("input",))
            around = "shortcut"
        yield Child("merge", self.merge, "merge", (last, around))

    def branch(self) -> tuple[str, ...]:
        return tuple(self.layers) if registry.get(self.merge.type).joins == "sum" else ()


@_register
class Parallel(Combinator):
    """Branches that all read the same: y = merge(f₁(x), …, fₙ(x))."""

    type: Literal["Parallel"] = "Parallel"  # pyright: ignore[reportIncompatibleVariableOverride]  # narrower, and frozen
    branches: BesideMerge
    """The branches by name; each is one layer or a `Sequential`."""
    merge: Layer = Field(default_factory=lambda: _parse("Concat"))
    """How they meet: `Concat` (default, along dimension 1), `Add`, `Multiply`, or a layer of your own."""
    holds_layers = ("branches",)
    holds_layer = ("merge",)

    def wire(self) -> Iterator[Child]:
        for name, spec in self.branches.items():
            yield Child(name, spec, f"branches.{name}", ("input",))
        yield Child("merge", self.merge, "merge", tuple(self.branches))


def _check_times(times: int) -> int:
    if times > MAX_PARTS["times"]:
        raise too_large(MAX_PARTS["times"], [times])
    return times


@_register
class Repeat(Combinator):
    """Independent copies `0`, `1`, … of the same layers, one after the other; no copy shares a value with another.

    Of several inputs, the first goes through the copies, and all copies read the others as they are: `input.1`, ….
    """

    type: Literal["Repeat"] = "Repeat"  # pyright: ignore[reportIncompatibleVariableOverride]  # narrower, and frozen
    times: Annotated[PositiveInt, AfterValidator(_check_times)]
    """How many copies."""
    layers: Layers
    """The layers of each copy; `${arg:index}` is its number, from 0."""
    copies: Annotated[dict[str, Layers], AfterValidator(FrozenDict)] | None = None
    """Each copy's own layers, where `layers` use `${arg:index}`; written from them, not by hand."""
    holds_layers = ("layers",)
    counts = "times"
    made_fields = frozenset({"copies"})

    @model_validator(mode="after")
    def _check_copies(self) -> Repeat:
        """What a dump holds is taken as it is, as long as it is what it says."""
        names = [str(index) for index in range(self.times)]
        if self.copies is not None and (list(self.copies) != names or self.copies["0"] != self.layers):
            raise wrong("MF014", "`copies` is written from `layers` and `times`, and not by hand: leave it out")
        return self

    def wire(self) -> Iterator[Child]:
        same = sequence(self.layers)
        copies = [same] * self.times if self.copies is None else map(sequence, self.copies.values())
        others = tuple(f"input.{number}" for number in range(1, len(self.inputs or ())))
        for index, copy in enumerate(copies):
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
