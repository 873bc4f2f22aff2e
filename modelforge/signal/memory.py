"""memory: `Plan` → the bytes that a training step takes, layer by layer: values, gradients, optimizer, activations.

Activations are what the backward pass keeps. Each layer runs by itself on the meta device, where nothing is allocated,
and autograd says which tensors it saves; one that several layers save counts once, where it is saved first.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from rich.console import RenderableType
from rich.text import Text
from torch import Tensor, nn

from modelforge.core.rng import preserved_globals
from modelforge.core.tensors import TensorValue, mapped
from modelforge.core.words import magnitude
from modelforge.language import registry
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan
from modelforge.planning.study import construct
from modelforge.report.aligned import PATH
from modelforge.report.table import Fitted
from modelforge.signal.flow import LeafLayer, Source, flow


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes."""

    parameters: int = 0
    gradients: int = 0
    optimizer: int | None = 0
    """What the optimizer keeps; None where that is not known."""
    activations: int | None = 0
    """What the backward pass keeps; None where the layer cannot run on the meta device."""

    @property
    def total(self) -> int:
        """All of it, as far as it is known."""
        return self.parameters + self.gradients + (self.optimizer or 0) + (self.activations or 0)

    @property
    def known(self) -> bool:
        """Whether all of it is."""
        return self.optimizer is not None and self.activations is not None

    def __add__(self, other: Memory) -> Memory:
        return Memory(
            self.parameters + other.parameters,
            self.gradients + other.gradients,
            _plus(self.optimizer, other.optimizer),
            _plus(self.activations, other.activations),
        )

    def to_dict(self) -> dict[str, int | None]:
        """The numbers as plain data."""
        return {
            "parameters": self.parameters,
            "gradients": self.gradients,
            "optimizer": self.optimizer,
            "activations": self.activations,
        }


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def memory(
    plan: Plan,
    batch: int,
    state_bytes: Callable[[ParameterPlan], int | None],
    frozen: Collection[str] = (),
    known: Runs | None = None,
) -> dict[str, Memory]:
    """What each layer takes in a training step, by path.

    Args:
        plan: The plan.
        batch: Examples in a batch.
        state_bytes: What the optimizer keeps for a parameter; None where that is not known.
        frozen: Paths of parameters that are never trained: they have no gradient and no state.
        known: What layers of other plans saved; a layer that is equal does not run again, and new ones are added.
    """
    trained = {parameter.path for parameter in plan.parameters} - {*frozen}
    names = {name: plan.ties.get(name, name) for name in (*(one.path for one in plan.parameters), *plan.ties)}
    owners = {f"{layer.path}.{name}": layer.path for layer in plan.layers for name in layer.parameters}
    owned: dict[str, Memory] = {}
    for parameter in plan.parameters:
        size = prod(parameter.shape) * getattr(torch, parameter.dtype).itemsize
        learns = parameter.path in trained
        taken = Memory(size, size if learns else 0, state_bytes(parameter) if learns else 0)
        owner = owners[parameter.path]
        owned[owner] = owned.get(owner, Memory()) + taken
    kept = _Kept(
        plan, batch, {name for name, first in names.items() if first in trained}, {} if known is None else known
    )
    found: dict[str, Memory] = {}
    with preserved_globals():
        for leaf in flow(plan).leaves:
            base = owned.get(leaf.layer.path, Memory())
            found[leaf.layer.path] = Memory(base.parameters, base.gradients, base.optimizer, kept.of(leaf))
    return found


def memory_table(plan: Plan, found: Mapping[str, Memory], batch: int) -> RenderableType:
    """What each layer takes, and all of them, for a terminal."""
    header = ["layer", "type", "params", "gradient", "optimizer", f"kept for backward (batch {batch})"]
    types = {layer.path: layer.type for layer in plan.layers}
    lines = [[Text(path), Text(types[path], "cyan"), *_sizes(one)] for path, one in found.items()]
    whole = sum(found.values(), Memory())
    total = [Text("total", "bold"), Text(), *_sizes(whole)]
    kept = ([one.optimizer for one in found.values()], [one.activations for one in found.values()])
    for column, sizes in enumerate(kept, start=4):
        known = sum(size or 0 for size in sizes)
        if None in sizes:
            total[column] = Text(f"≥ {shown(known)}" if known else "?")
    return Fitted(header, lines, right=range(2, 6), folds={0: PATH}, steps=((1, 0), (0, 12)), total=total)


def _sizes(one: Memory) -> list[Text]:
    return [Text(shown(size)) for size in (one.parameters, one.gradients, one.optimizer, one.activations)]


def shown(size: int | None) -> str:
    """Bytes in words; empty for none."""
    return "?" if size is None else f"{magnitude(size)}B" if size >= 1000 else f"{size} B" if size else ""


@dataclass(frozen=True, slots=True)
class _Saved:
    """What autograd saves of one layer."""

    inputs: tuple[int, ...]
    """Which of its inputs."""
    outputs: Mapping[tuple[int, ...], int]
    """Which of its outputs, with their bytes."""
    inside: int
    """Bytes of all else."""
    views: Mapping[tuple[int, ...], int]
    """Outputs that lie in the memory of an input, and which."""


Runs = dict[Any, _Saved | None]
"""What layers saved, by all that it depends on; None for one that cannot run on the meta device."""


class _Kept:
    """What is kept so far."""

    def __init__(self, plan: Plan, batch: int, trained: Collection[str], known: Runs) -> None:
        self._dtype = plan.dtype
        self._batch = batch
        self._trained = trained
        self._roots: dict[Source, Source] = {}
        self._needed: set[Source] = set()
        """Tensors through which gradients go."""
        self._sizes: dict[Source, int] = {}
        self._done: set[Source] = set()
        self._known = known

    def of(self, leaf: LeafLayer) -> int | None:
        """Bytes that this layer keeps and none before it did."""
        needed = tuple(self._root(read) in self._needed for read in leaf.reads)
        learns = tuple(f"{leaf.layer.path}.{name}" in self._trained for name in leaf.layer.parameters)
        layer = leaf.layer
        key = layer.type, repr(layer.arguments), layer.inputs, needed, learns, self._batch, self._dtype
        if key not in self._known:
            self._known[key] = self._run(leaf, needed)
        saved = self._known[key]
        if saved is None:
            return None
        path, total = leaf.layer.path, saved.inside
        for index, place in saved.views.items():
            self._roots[Source(path, index)] = self._root(leaf.reads[place])
        if any(needed) or any(learns):
            self._needed.update(self._root(Source(path, index)) for index in ((), (0,), (1,)))
        for place in saved.inputs:
            total += self._count(leaf.reads[place], self._bytes(leaf.layer.inputs[place]))
        for index, size in saved.outputs.items():
            total += self._count(Source(path, index), size)
        return total

    def _count(self, source: Source, size: int) -> int:
        root = self._root(source)
        if root in self._done:
            return 0
        self._done.add(root)
        return size

    def _root(self, source: Source) -> Source:
        return self._roots.get(source, source)

    def _bytes(self, value: Any) -> int:
        return prod(value.of(self._batch)) * self._type(value).itemsize

    def _type(self, value: TensorValue) -> torch.dtype:
        name = self._dtype if self._dtype is not None and value.dtype.startswith("float") else value.dtype
        return getattr(torch, name)

    def _run(self, leaf: LeafLayer, needed: tuple[bool, ...]) -> _Saved | None:
        module = construct(registry.get(leaf.layer.type), leaf.layer.arguments)
        if self._dtype is not None:
            module = module.to(getattr(torch, self._dtype))
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(f"{leaf.layer.path}.{name}" in self._trained)
        wanted = iter(needed)
        inputs = mapped(lambda value: self._empty(value, next(wanted, False)), leaf.layer.inputs)
        tensors: list[Tensor] = []

        def keep(tensor: Tensor) -> Tensor:
            tensors.append(tensor)
            return tensor

        try:
            with warnings.catch_warnings(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                warnings.simplefilter("ignore")  # they concern values, and there are none
                output = module(*inputs)
        except (RuntimeError, ValueError):  # of a norm over one value, among others
            return None
        return _sorted(tensors, inputs, output, module)

    def _empty(self, value: TensorValue, needed: bool) -> Tensor:
        made = torch.empty(value.of(self._batch), dtype=self._type(value), device="meta")
        return made.requires_grad_(needed and made.is_floating_point())


def _sorted(tensors: list[Tensor], inputs: Any, output: Any, module: nn.Module) -> _Saved:
    """Saved tensors by whose memory they lie in."""
    own = {_place(parameter) for parameter in (*module.parameters(), *module.buffers())}
    read = {_place(tensor): index for index, tensor in enumerate(inputs) if isinstance(tensor, Tensor)}
    given = {_place(tensor): index for index, tensor in _parts(output)}
    views = {index: read[place] for place, index in given.items() if place in read}
    inside: dict[int, int] = {}
    used: set[int] = set()
    outputs: dict[tuple[int, ...], int] = {}
    for tensor in tensors:
        place = _place(tensor)
        if place in own:
            continue
        if place in read:
            used.add(read[place])
        elif place in given:
            outputs[given[place]] = tensor.untyped_storage().nbytes()
        else:
            inside[place] = tensor.untyped_storage().nbytes()
    return _Saved(tuple(sorted(used)), outputs, sum(inside.values()), views)


def _place(tensor: Tensor) -> int:
    """What identifies the memory that a tensor lies in; on the meta device none has an address."""
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]  # there is no other name for it


def _parts(output: Any, index: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], Tensor]]:
    if isinstance(output, Tensor):
        return [(index, output)]
    if isinstance(output, tuple | list):
        return [part for place, item in enumerate(output) for part in _parts(item, (*index, place))]
    return []
