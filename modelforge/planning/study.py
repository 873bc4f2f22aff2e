"""study: a layer type, its arguments and its inputs → its output and parameters.

The layer runs on torch's meta device, which knows shapes, and on the CPU, which knows what fails: see `forward` and
`layer_faults`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelforge.core.bounded_cache import Recent
from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Branch, Matrix
from modelforge.core.paths import around, join, parent
from modelforge.core.tensors import BatchSize, TensorValue, Value, show
from modelforge.language.registry import LayerType
from modelforge.modules.hooks import reset_method
from modelforge.modules.parameters import ParameterLayout, layout, layouts
from modelforge.modules.structure import Follows, branches, follows, is_known, makes_output
from modelforge.planning.forward import Misfit as Misfit
from modelforge.planning.forward import construct as construct
from modelforge.planning.forward import run as run
from modelforge.planning.layer_faults import Trials, Warned


@dataclass(frozen=True, slots=True)
class ParameterFacts:
    """One parameter of a layer: its name below the layer, and what it is."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: ParameterLayout
    classes: FrozenDict[str, str]
    """Class names that `types:` may use for it, most specific first, each with the path of its module."""
    resettable: bool
    """Whether its module knows values of its own: it has a `reset_parameters`."""
    makes_output: bool
    """Whether its module computes what the layer gives."""
    branch: Branch | None = None
    """The residual branch inside the layer that it is in, numbered from 0 in the layer."""
    follows: Follows = "unknown"
    """What reads the output of the module that holds it; `output` where that is the layer's own output."""

    @property
    def owner(self) -> str:
        """Path of the module that holds it, below the layer."""
        return parent(self.name)


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """A layer of the model: its output, and what it holds."""

    arguments: Mapping[str, Any]
    """All constructor arguments, inferred ones included."""
    output: Value
    parameters: tuple[ParameterFacts, ...]
    has_buffers: bool
    num_branches: int = 0
    """Residual branches inside it."""
    num_extra: int = 0
    """How many of them come after the first two of their layer; see `Branch.extra`."""
    inside_known: bool = True
    """Whether it is known which of its modules make its output, and which residual branches it has."""
    warnings: tuple[Warned, ...] = ()
    """Code, message and hint of each warning."""


Placed: TypeAlias = Recent[tuple[ParameterFacts, tuple[Matrix, ...]]]
"""The matrices of parameters at their places in a model."""


class _Known:
    """What was found of layers, and the trials on the way."""

    def __init__(self) -> None:
        self.facts: Recent[LayerFacts | Misfit] = Recent()
        self.trials = Trials()


_BUILTIN = _Known()
"""Of modelforge's and torch's own layers, for as long as the process lives."""


class Studies:
    """Studies layers, equal ones on equal inputs once, also for several plans; those of modelforge and torch once in a
    process."""

    def __init__(self) -> None:
        self.placed: Placed = Recent()
        self._known = _Known()

    def of(
        self, kind: Hashable, layer: LayerType, given: Mapping[str, Any], inputs: tuple[Value, ...]
    ) -> LayerFacts | Misfit:
        """The facts of a layer, or its problem; layers of one kind are equal."""
        known = _BUILTIN if layer.is_builtin else self._known

        def found() -> LayerFacts | Misfit:
            try:
                return study(layer, given, inputs, known.trials)
            except Misfit as misfit:
                return misfit

        return known.facts.get(kind, found)


def study(
    layer: LayerType, given: Mapping[str, Any], inputs: tuple[Value, ...], trials: Trials | None = None
) -> LayerFacts:
    """Constructs a layer and runs it on its inputs; `trials` remembers earlier runs.

    Raises:
        Misfit: wrong rank, an argument that contradicts the shape, a complaint of torch's own, values that are not
            finite, or examples that see one another.
    """
    _check_count(layer, inputs)
    _check_axes(layer, inputs)
    arguments = _infer(layer, given, inputs)
    module = construct(layer, arguments)
    _check_held(layer, module)
    _check_dtypes(layer, module, inputs)
    tried = (trials or Trials()).run(layer, arguments, inputs, module)
    return LayerFacts(
        arguments=arguments,
        output=tried.output,
        parameters=tuple(describe(module)),
        has_buffers=any(True for _ in module.buffers()),
        num_branches=num_branches(module),
        num_extra=sum(max(len(branches(inner)) - 2, 0) for inner in module.modules()),
        inside_known=all(is_known(inner) for inner in module.modules() if _holds_parameters(inner)),
        warnings=tried.warnings,
    )


def _check_held(layer: LayerType, module: nn.Module) -> None:
    """Refuses what would be missing in a built model: parameters without a shape, and tensors beside parameters and
    buffers, which would stay on the meta device."""
    if any(map(is_lazy, (*module.parameters(), *module.buffers()))):
        raise Misfit("MF041", f"{layer.name} learns its sizes from the first batch", "let its constructor take them")
    for inner in module.modules():
        for name, value in vars(inner).items() if not inner._forward_pre_hooks else ():  # they make theirs again
            held = value if isinstance(value, list | tuple) else value.values() if type(value) is dict else (value,)
            if not name.startswith("_") and any(_is_lost(item) for item in held):
                message = f"{layer.name} keeps a tensor in `{name}`, which is neither a parameter nor a buffer"
                raise Misfit("MF041", message, f'write `self.register_buffer("{name}", ..., persistent=False)`')


def _is_lost(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter) and value.is_meta


def _holds_parameters(module: nn.Module) -> bool:
    return any(True for child in module.children() for _ in child.parameters())


def _classes(module: nn.Module, path: str) -> FrozenDict[str, str]:
    """Class names from a module outwards, each with the path where it is met first."""
    found: dict[str, str] = {}
    for owner in dict.fromkeys((path, *reversed(around(path)))):
        for cls in type(module.get_submodule(owner)).__mro__:
            if cls not in (nn.Module, object):
                found.setdefault(cls.__name__, owner)
    return FrozenDict(found)


def num_branches(module: nn.Module) -> int:
    """Residual branches inside a module, as far as the classes in it say."""
    return sum(len(branches(inner)) for inner in module.modules())


def _branches(module: nn.Module) -> dict[str, Branch]:
    """For the paths of modules: the innermost residual branch that each is in."""
    found: dict[str, Branch] = {}
    count = extra = 0
    for prefix, inner in module.named_modules():
        for position, names in enumerate(branches(inner)):
            extra += position > 1
            paths = {join(prefix, name): inner.get_submodule(name) for name in names}
            inside = {
                join(path, below): (path, below, owner)
                for path, child in paths.items()
                for below, owner in child.named_modules()
            }
            owners = [owner for _, _, owner in inside.values()]
            num_weights = sum("weight" in {item.role for item in layout(owner).values()} for owner in owners)
            last = [*paths][-1]
            for full, (path, below, _) in inside.items():
                ends = path == last and makes_output(paths[path], below)
                found[full] = Branch(count, num_weights, ends, extra)
            count += 1
    return found


def describe(module: nn.Module) -> Iterator[ParameterFacts]:
    """The facts of each parameter of a module."""
    known = layouts(module)
    within = _branches(module)
    for name, weight in module.named_parameters():
        path = parent(name)
        owner = module.get_submodule(path)
        yield ParameterFacts(
            name=name,
            shape=tuple(weight.shape),
            dtype=str(weight.dtype).removeprefix("torch."),
            layout=known[name],
            classes=_classes(module, path),
            resettable=reset_method(owner) is not None,
            makes_output=makes_output(module, path),
            branch=within.get(path),
            follows=follows(module, path),
        )


def _check_axes(layer: LayerType, inputs: tuple[Value, ...]) -> None:
    if not layer.axes or not inputs:
        return
    if not isinstance(inputs[0], TensorValue):
        raise Misfit("MF040", f"{layer.name} needs a tensor, but gets {show(inputs[0])}")
    rank = len(inputs[0].shape) - 1
    for axes in layer.axes:
        flexible = "..." in axes
        needed = len(axes) - flexible
        if rank == needed or (flexible and rank >= needed):
            return
    wanted = " or ".join(f"({', '.join(axes)}{',' if len(axes) == 1 else ''})" for axes in layer.axes if axes)
    raise Misfit("MF040", f"{layer.name} needs a {wanted} input, but gets {inputs[0]}")


def _check_count(layer: LayerType, inputs: tuple[Value, ...]) -> None:
    """As many inputs as `forward` takes."""
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    assert layer.make is not None
    known = list(signature(layer.make.forward).parameters.values())
    if any(parameter.kind is Parameter.VAR_POSITIONAL for parameter in known):
        return
    del known[0]  # the module itself
    takes = [parameter for parameter in known if parameter.kind in kinds]
    needs = [parameter for parameter in takes if parameter.default is Parameter.empty]
    if not len(needs) <= len(inputs) <= len(takes):
        names = ", ".join(parameter.name for parameter in (needs if len(inputs) < len(needs) else takes))
        hint = f"list them in `inputs`, in this order: {names}"
        wanted = str(len(needs)) if len(needs) == len(takes) else f"{len(needs)} to {len(takes)}"
        noun = "input" if wanted == "1" else "inputs"
        raise Misfit("MF032", f"{layer.name} reads {wanted} {noun}, but gets {len(inputs)}", hint)


def _check_dtypes(layer: LayerType, module: nn.Module, inputs: tuple[Value, ...]) -> None:
    """Refuses whole numbers where there are weights: meta tensors accept them, real ones do not."""
    weight = next(module.parameters(), None)
    if not layer.numeric or weight is None or not weight.is_floating_point():
        return
    for value in inputs:
        if isinstance(value, TensorValue) and not getattr(torch, value.dtype).is_floating_point:
            message = f"{layer.name} needs floating-point numbers, but gets {value} of {value.dtype}"
            hint = "an `Embedding` makes vectors of indices; for numbers give `dtype: float32`"
            raise Misfit("MF043", message, hint)


def _infer(layer: LayerType, given: Mapping[str, Any], inputs: tuple[Value, ...]) -> dict[str, Any]:
    shapes = tuple(value.shape if isinstance(value, TensorValue) else () for value in inputs)
    arguments = dict(given)
    for name, rule in layer.infer.items():
        arrives = rule(shapes)
        if isinstance(arrives, BatchSize):  # no argument is the batch
            arrives = None
        written = given.get(name)
        if written is None:
            if arrives is None:
                arguments.pop(name, None)
            else:
                arguments[name] = arrives
        elif isinstance(written, int) and arrives is not None and _contradicts(layer, name, written, arrives):
            wanted = f"at least {arrives}" if name in layer.at_least else arrives
            raise Misfit(
                "MF042",
                f"`{name}` must be {wanted}, as {_show_all(inputs)} arrives",
                f"leave `{name}` out: the shape that arrives determines it",
                argument=name,
                rest=f", but is {written}",
            )
    return arguments | dict(layer.fixed)


def _contradicts(layer: LayerType, name: str, written: int, arrives: int) -> bool:
    return written < arrives if name in layer.at_least else written != arrives


def _show_all(inputs: tuple[Value, ...]) -> str:
    return " and ".join(show(value) for value in inputs)
