"""`locate`: where values first left the finite range, by one more forward pass with hooks, then by the gradients."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from modelforge.building.shards import local
from modelforge.core.errors import Problem
from modelforge.core.words import plural
from modelforge.planning.plan import Plan
from modelforge.train.data.batches import Inputs, read_by
from modelforge.train.optimizers.optimizer import OptimizerFactory


class NotFinite(Exception):
    """A loss or a gradient is NaN or infinite.

    Args:
        finding: Where that began.
        to_blame: How many examples of a validation batch have such outputs, where those to train on have none.
        step: The number of steps before.
    """

    def __init__(self, finding: Finding, to_blame: int | None = None, *, step: int) -> None:
        super().__init__(str(finding))
        self.finding = finding
        self.to_blame = to_blame
        self.step = step


@dataclass(frozen=True, slots=True)
class Finding:
    """The first place with values that are not finite."""

    kind: Literal["output", "parameter", "gradient", "input", "loss"]
    layer: str = ""
    """Module path of the layer; empty for the input and the loss."""
    parameter: str = ""
    counts: tuple[int, int, int] = (0, 0, 0)
    """NaN, infinite and all values there."""
    largest: float = 0.0
    """The largest magnitude among the inputs that were still finite."""

    def __str__(self) -> str:
        nan, inf, size = self.counts
        values = " and ".join(f"{count} {word}" for count, word in ((nan, "NaN"), (inf, "infinite")) if count)
        share = f"{values} of {size} values"
        match self.kind:
            case "parameter":
                return f"`{self.parameter}` of layer `{self.layer}` is no longer finite ({share})"
            case "output":
                return f"layer `{self.layer}` is the first to output {share}, from inputs up to {self.largest:.3g}"
            case "gradient":
                where = f"the gradient of `{self.parameter}` in layer `{self.layer}`"
                return f"the forward pass is finite; going backward, {where} is the first with {share}"
            case "input":
                return f"the batch itself holds {share}"
            case "loss":
                return f"every layer's output is finite (up to {self.largest:.3g}), but the loss is not"


def locate(model: nn.Module, inputs: Inputs) -> Finding:
    """Runs `model` on `inputs` and finds the first module, in execution order, whose output is not finite.

    A module whose own parameters are not finite is blamed for those: an update broke them. Where the forward pass is
    finite, the gradients that the parameters hold are searched, last layer first: the order in which they were made.

    Example:
        >>> model = nn.Sequential(nn.Identity(), nn.Linear(2, 1, bias=False))
        >>> _ = nn.init.constant_(model[1].weight, 3e38)
        >>> locate(model, torch.ones(1, 2)).layer
        '1'
    """
    if counts := _count(*_tensors(inputs)):
        return Finding("input", counts=counts)
    found: list[Finding] = []
    order: dict[str, int] = {}
    largest = _largest(*_tensors(inputs))

    def watch(name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            nonlocal largest
            order[name] = len(order)
            tensors = [*_tensors(output)]
            if found:
                return
            if counts := _count(*tensors):
                parameters = {f"{name}.{path}": parameter for path, parameter in module.named_parameters()}
                output_of = Finding("output", name, "", counts, _largest(*_tensors(arguments)))
                found.append(_first("parameter", parameters) or output_of)
            else:
                largest = max(largest, _largest(*tensors))

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad(), _eager(model):
            read_by(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return found[0]
    gradients = {path: parameter.grad for path, parameter in model.named_parameters() if parameter.grad is not None}
    # Last those of modules that are read, but never called.
    last_first = sorted(gradients, key=lambda path: -order.get(path.rpartition(".")[0], -1))
    return _first("gradient", {path: gradients[path] for path in last_first}) or Finding("loss", largest=largest)


@contextmanager
def _eager(model: nn.Module) -> Generator[None]:
    """Sets aside what torch.compile made of a model: it calls no hooks that came later."""
    compiled, model._compiled_call_impl = model._compiled_call_impl, None
    try:
        yield
    finally:
        model._compiled_call_impl = compiled


def _first(kind: Literal["parameter", "gradient"], tensors: Mapping[str, Tensor]) -> Finding | None:
    """The first of some tensors, by the paths of their parameters, that is not finite."""
    for path, tensor in tensors.items():
        if counts := _count(local(tensor)):
            layer, _, name = path.rpartition(".")
            return Finding(kind, layer, name, counts)
    return None


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _count(*tensors: Tensor) -> tuple[int, int, int] | None:
    """NaN, infinite and all values of those tensors that are not finite; None where all are."""
    bad = [tensor.detach() for tensor in tensors if not bool(torch.isfinite(tensor).all())]
    counts = [(int(torch.isnan(one).sum()), int(torch.isinf(one).sum()), one.numel()) for one in bad]
    return (sum(c[0] for c in counts), sum(c[1] for c in counts), sum(c[2] for c in counts)) if counts else None


def _largest(*tensors: Tensor) -> float:
    return max((float(tensor.detach().abs().max()) for tensor in tensors if tensor.numel()), default=0.0)


def diverged(error: NotFinite, plan: Plan, optimizer: OptimizerFactory) -> Problem:
    """The problem of a training that diverged, at the layer where it began, or of the examples that are to blame."""
    finding = error.finding
    if error.to_blame is not None:
        blamed = f"{plural(error.to_blame, 'example')} of a validation batch"
        message = f"at step {error.step}, outputs for {blamed} are not finite, unlike those for training: {finding}"
        return Problem("MF053", "data", message, "look for extreme values in the validation part", part="key")
    keys = {layer.path: layer.key for layer in plan.layers}
    layer = finding.layer
    while layer and layer not in keys:  # a module inside a torch layer
        layer = layer.rpartition(".")[0]
    rate = optimizer.arguments.get("lr")
    lower = "lower `optimizer.lr`" + ("" if rate is None else f" (now {rate:g})")
    message = f"training diverged at step {error.step}: {finding}"
    hint = f"{lower}, clip with `trainer.gradient_clip_val=1`, or start with smaller values"
    return Problem("MF052", keys.get(layer, "optimizer.lr"), message, hint, part="key")
