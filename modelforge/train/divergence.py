"""Where values first left the finite range: one more forward pass with a hook on every module, then the gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from modelforge.train.data.batches import Inputs, read_by


class NotFinite(Exception):
    """A loss or a gradient is NaN or infinite at `step`; `finding` says where that began."""

    def __init__(self, finding: Finding, step: int) -> None:
        super().__init__(str(finding))
        self.finding = finding
        self.step = step


@dataclass(frozen=True, slots=True)
class Finding:
    """The first place with values that are not finite."""

    kind: Literal["output", "parameter", "gradient", "input", "loss"]
    layer: str
    """Module path of the layer; empty for the input and the loss."""
    parameter: str = ""
    nan: int = 0
    inf: int = 0
    size: int = 0
    largest: float = 0.0
    """The largest magnitude among the values that went in and were still finite."""

    def __str__(self) -> str:
        values = " and ".join(f"{count} {word}" for count, word in ((self.nan, "NaN"), (self.inf, "infinite")) if count)
        share = f"{values} of {self.size} values"
        match self.kind:
            case "parameter":
                return f"`{self.parameter}` of layer `{self.layer}` is no longer finite ({share})"
            case "output":
                return f"layer `{self.layer}` is the first to put out {share}, from inputs up to {self.largest:.3g}"
            case "gradient":
                return (
                    f"the forward pass is finite; going backward, the gradient of `{self.parameter}` "
                    f"in layer `{self.layer}` is the first with {share}"
                )
            case "input":
                return f"the batch itself holds {share}"
            case "loss":
                return f"every layer's output is finite (up to {self.largest:.3g}), but the loss is not"


def locate(model: nn.Module, inputs: Inputs) -> Finding:
    """Runs `model` on `inputs` and finds the first module, in execution order, whose output is not finite.

    A module whose own parameters are not finite is blamed for those: an update broke them. Where the forward pass is
    finite the gradients that the parameters hold are looked at, last layer first, the order in which they were made.

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.Linear(2, 1, bias=False))
        >>> _ = nn.init.constant_(model[1].weight, 3e38)
        >>> locate(model, torch.ones(1, 2)).layer
        '1'
    """
    if bad := _total(list(_tensors(inputs))):
        return Finding("input", "", "", *bad)
    found: list[Finding] = []
    order: list[str] = []
    largest = _largest(*_tensors(inputs))

    def watch(name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            nonlocal largest
            order.append(name)
            tensors = list(_tensors(output))
            if found:
                return
            if counts := _total(tensors):
                found.append(
                    _broken_parameter(name, module)
                    or Finding("output", name, "", *counts, largest=_largest(*_tensors(arguments)))
                )
            else:
                largest = max(largest, _largest(*tensors))

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad():
            read_by(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else _gradient(model, order) or Finding("loss", "", largest=largest)


def _gradient(model: nn.Module, order: list[str]) -> Finding | None:
    modules = dict(model.named_modules())
    for layer in reversed(order):
        for name, parameter in modules[layer].named_parameters(recurse=False):
            if parameter.grad is not None and (bad := _count(parameter.grad)):
                return Finding("gradient", layer, name, *bad)
    for path, parameter in model.named_parameters():  # of modules that are read, but never called
        if parameter.grad is not None and (bad := _count(parameter.grad)):
            layer, _, name = path.rpartition(".")
            return Finding("gradient", layer, name, *bad)
    return None


def _broken_parameter(layer: str, module: nn.Module) -> Finding | None:
    for name, parameter in module.named_parameters():
        if bad := _count(parameter):
            inner, _, name = name.rpartition(".")
            return Finding("parameter", f"{layer}.{inner}" if inner else layer, name, *bad)
    return None


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value.detach()
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _count(tensor: Tensor) -> tuple[int, int, int] | None:
    """NaN, infinite and all values of a tensor that holds some that are not finite."""
    tensor = tensor.detach()
    if bool(torch.isfinite(tensor).all()):
        return None
    return int(torch.isnan(tensor).sum()), int(torch.isinf(tensor).sum()), tensor.numel()


def _total(tensors: list[Tensor]) -> tuple[int, int, int] | None:
    counts = [bad for tensor in tensors if (bad := _count(tensor))]
    if not counts:
        return None
    nan, inf, size = (sum(column) for column in zip(*counts, strict=True))
    return nan, inf, size


def _largest(*tensors: Tensor) -> float:
    return max((float(tensor.detach().abs().max()) for tensor in tensors if tensor.numel()), default=0.0)
