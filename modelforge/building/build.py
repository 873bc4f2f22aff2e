"""build: `Plan` → `nn.Module`. Constructed on the meta device, given memory once, every parameter filled once."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from modelforge.building.copies import Copies
from modelforge.building.fill import fill_module
from modelforge.building.graph import Graph
from modelforge.building.ledger import Ledger
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.memory import allocate, free, ran_out
from modelforge.core.rng import check_seed, keyed_globals, preserved_globals
from modelforge.core.words import a_class
from modelforge.language import registry
from modelforge.language.model import ModelSpec
from modelforge.modules.hooks import after_materialise
from modelforge.planning.assign import is_narrow
from modelforge.planning.plan import LayerPlan, Plan, planned
from modelforge.planning.study import Misfit, construct


class Model(Graph):
    """A built model: a plain module that remembers how it started."""

    ledger: Ledger

    if TYPE_CHECKING:
        # Layers are attributes by name; torch's own annotation, `Tensor | Module`, lets none of them be used.
        def __getattr__(self, name: str) -> Any: ...


def build(
    spec: ModelSpec | Plan,
    *,
    seed: int | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    shard: Callable[[nn.Module], object] | None = None,
) -> Model:
    """Makes the model and fills every parameter exactly once.

    The values depend on the seed and the parameters' paths alone: not on the global random state (which stays as it
    is), torch's default device and dtype, the device, the number of threads, or other layers. Buffers that a
    constructor draws depend on the seed and their layer's path.

    Args:
        spec: The model; a `Plan` is built as it is.
        seed: Key of all random numbers; default the spec's own.
        device: Where parameters and buffers live.
        dtype: Floating-point type of parameters and buffers; default the spec's own, or the layers' (float32). Values
            are drawn in float32 and rounded; values of float64 have all its digits.
        shard: Called with the model while it is on the meta device, to make its parameters `DTensor`s: FSDP2's
            `fully_shard`, or a function that calls it layer by layer. Each process then draws the part that it holds,
            with the same bits as one process alone.

    Returns:
        The model in training mode, with its ledger as `model.ledger`.

    Raises:
        ForgeError: see `plan`; also where a scheme keeps values that a new model does not have, and where memory ends.
        TypeError: `dtype` is not a floating-point type, or `spec` or `shard` is of another kind.
        ValueError: `device` is the meta device, which holds no values, or one that is not there.

    Example:
        >>> from modelforge.language import parse
        >>> layers = {"head": {"type": "Linear", "out_features": 2, "init": "orthogonal"}}
        >>> model = build(parse({"input": {"shape": [4]}, "layers": layers}))
        >>> bool(torch.allclose(model.head.weight @ model.head.weight.T, torch.eye(2), atol=1e-6))
        True
        >>> model.ledger.ok
        True
    """
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):  # pyright: ignore[reportUnnecessaryIsInstance]  # as above
        raise TypeError(f"dtype must be a floating-point type, such as torch.bfloat16, but is {dtype!r}")
    if dtype is not None and is_narrow(str(dtype).removeprefix("torch.")):
        raise TypeError(
            f"dtype must be a type for values of every size, such as torch.bfloat16, but is {dtype!r}, which has too "
            "few bits: build in float32 and convert then"
        )
    if shard is not None and not callable(shard):
        raise TypeError(f"shard must be a function of the module, but is {a_class(shard)}")
    place = _usable(device)
    decided = planned(spec, "build")
    if dtype is None and decided.dtype is not None:
        dtype = getattr(torch, decided.dtype)
    seed = decided.seed if seed is None else check_seed(seed)
    if shard is None:
        _check_memory(decided, place, dtype)
    try:
        with preserved_globals():
            model = _assemble(decided, seed)
        if shard is None:
            _materialise(model, place, dtype)
        else:
            _materialise_shards(model.to(dtype), shard, place)
        model.ledger = fill_module(model, decided.parameters, seed, buffers=decided.buffers)
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        raise _no_memory(decided, place, dtype, "which cannot be allocated") from error
    return model


def on_meta(decided: Plan) -> Model:
    """The model without memory, on torch's meta device: to see how it runs."""
    with preserved_globals():
        return _assemble(decided, decided.seed).to("meta")


def _check_memory(decided: Plan, device: torch.device, dtype: torch.dtype | None) -> None:
    """Compares parameters with free memory first: a system may grant more than there is, and then end the process.

    Raises:
        ForgeError: the parameters need more than is free.
    """
    available = free(device)
    if available is not None and _num_bytes(decided, dtype) > available:
        raise _no_memory(decided, device, dtype, f"but {available / 2**30:,.1f} GiB are free")


def _num_bytes(decided: Plan, dtype: torch.dtype | None) -> int:
    kinds = [(getattr(torch, item.dtype), prod(item.shape)) for item in decided.parameters]
    return sum(size * (dtype if dtype and kind.is_floating_point else kind).itemsize for kind, size in kinds)


def _no_memory(decided: Plan, device: torch.device, dtype: torch.dtype | None, fact: str) -> ForgeError:
    message = f"the model's parameters take {_num_bytes(decided, dtype) / 2**30:,.1f} GiB on {device}, {fact}"
    hint = (
        "`plan` and `modelforge show` take none; `dtype=torch.bfloat16` takes half of float32, `device=` may have more,"
        " and with `shard=` each process holds a part"
    )
    return ForgeError([decided.origins.locate(Problem("MF060", "model", message, hint, part="key"))])


def _usable(device: torch.device | str) -> torch.device:
    """A device that takes a tensor."""
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, ImportError, TypeError, NotImplementedError) as error:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"the device {device!r} cannot be used: {first_line}") from error
    if place.type == "meta":
        raise ValueError("there are no values on the meta device: `mf.plan` gives shapes without memory")
    return place


def _assemble(decided: Plan, seed: int) -> Model:
    root, copies = decided.root, Copies()
    reads = {child.name: child.reads for child in root.children}
    children = {child.name: _module(child, seed, copies) for child in root.children}
    results, names = [*decided.results.values()], [name for name in decided.results if name]
    inputs = list(decided.inputs)
    model = Model(children, inputs, reads, num_inputs=len(inputs), results=results, names=names)
    for path, source in decided.ties.items():
        owner, _, name = path.rpartition(".")
        model.get_submodule(owner)._parameters[name] = model.get_parameter(source)
    return model


def _module(layer: LayerPlan, seed: int, copies: Copies) -> nn.Module:
    if layer.children:
        children = {child.name: _module(child, seed, copies) for child in layer.children}
        reads = {child.name: child.reads for child in layer.children}
        own = len(layer.reads) - len(layer.captured)
        return Graph(children, ["input"], reads, num_inputs=own, outer=layer.captured)
    kind = registry.get(layer.type)
    if not layer.has_buffers:
        return copies.make(kind, layer.arguments)
    # Values that a constructor computes into buffers would be lost on the meta device.
    try:
        with keyed_globals(seed, layer.path, "buffers"):
            return construct(kind, layer.arguments, "cpu")
    except Misfit as misfit:
        # `plan` constructed it on the meta device: only memory is new here.
        hint = "a layer with buffers is constructed in the CPU's memory"
        raise ForgeError([Problem("MF060", layer.key, misfit.message, hint, part="key")]) from misfit


def _materialise(model: nn.Module, device: torch.device, dtype: torch.dtype | None) -> None:
    """Gives every parameter fresh memory, and moves buffers with their values."""

    def kind(tensor: torch.Tensor) -> torch.dtype:
        return dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype

    moved: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                if id(weight) not in moved:
                    empty = allocate(weight.shape, kind(weight), device)
                    moved[id(weight)] = nn.Parameter(empty, requires_grad=weight.requires_grad)
                module._parameters[name] = moved[id(weight)]
        for name, value in module._buffers.items():
            if value is not None:
                module._buffers[name] = value.to(device=device, dtype=kind(value))
        after_materialise(module)


def _materialise_shards(model: nn.Module, shard: Callable[[nn.Module], object], device: torch.device) -> None:
    """Shards the model, gives memory to the part that lives here, and moves buffers with their values."""
    shard(model)
    buffers = dict(model.named_buffers())
    model.to_empty(device=device)  # the sharding refers to parameters itself, and this renews those references
    with torch.no_grad():
        for name, empty in model.named_buffers():
            empty.copy_(buffers[name])
    for module in model.modules():
        after_materialise(module)
