"""Forward: a layer is constructed and run on torch's meta device, on batches of two sizes → its output.

Shapes are torch's own, and nothing is allocated. Sizes that differ between the two batches grow with the batch.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from modelforge.core.quoting import sentence
from modelforge.core.tensors import BatchSize, TensorValue, Value, at, compared, first, is_batch, leaves, mapped, show
from modelforge.core.words import a_class
from modelforge.language.registry import LayerType

FEW = 4
"""Examples in the smaller of the two batches."""


class Misfit(Exception):
    """A layer does not fit its inputs; the caller adds the layer's place."""

    def __init__(self, code: str, message: str, hint: str = "", *, argument: str = "", rest: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.argument = argument
        self.rest = rest
        """What follows after the words that say where the input comes from."""


@dataclass(frozen=True, slots=True)
class MetaRun:
    """The output of a layer on the meta device, and what a run on `FEW` examples would cost."""

    output: Any
    held: int
    """Elements of its parameters and buffers."""
    written: float
    """Elements that its operations write."""
    used: float
    """How often each held element takes part."""

    @property
    def cost(self) -> float:
        """Elements of what it holds and writes, and a sixteenth of the products of the two."""
        return self.held + self.written + self.held * self.used / 16


def construct(layer: LayerType, arguments: Mapping[str, Any], device: str = "meta") -> nn.Module:
    """The module itself.

    Raises:
        Misfit: the constructor refuses the arguments.
    """
    assert layer.make is not None, "combinators are wired, not constructed"
    try:
        with torch.device(device), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            return layer.make(**arguments)
    except (Exception, SystemExit) as error:
        if _overflows(error):
            raise Misfit("MF060", f"{layer.name} is larger than torch can count: {sentence(error)}") from error
        raise Misfit("MF041", f"{layer.name} does not accept these arguments: {sentence(error)}") from error


def run(module: nn.Module, inputs: tuple[Value, ...], rows: int = BatchSize.ROWS) -> Any:
    """The output of a module on the meta device; in evaluation where it cannot train there."""
    arguments = mapped(partial(_on_meta, rows=rows), inputs)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they concern values, and there are none
        try:
            return module(*arguments)
        except RuntimeError:
            # Training may read values that meta tensors do not have (a batch norm without momentum counts batches).
            return module.eval()(*arguments)


def observe(module: nn.Module, inputs: tuple[Value, ...], rows: int = BatchSize.ROWS) -> MetaRun:
    """Runs a module on the meta device.

    Raises:
        Misfit: torch refuses, or the output is not a tensor.
    """
    counted = _Counted()
    try:
        with FewSteps(1, few_layers=True), counted:
            output = run(module, inputs, rows)
    except (Exception, SystemExit) as error:
        raise complaint(error, module, inputs, lambda: _again(module, inputs, rows + 2), (rows, rows + 2)) from error
    tensors = [*tensors_in(output)]
    written = (counted.elements + sum(value.numel() for value in tensors)) * FEW / rows
    used = max((value.numel() / max(value.shape[1:], default=1) for value in tensors if value.numel()), default=0.0)
    return MetaRun(output, num_held(module), written, used * FEW / rows)


def num_held(module: nn.Module) -> int:
    """Elements of a module's parameters and buffers."""
    return sum(value.numel() for value in (*module.parameters(), *module.buffers()))


def values(many: Any, few: Any, rows: tuple[int, int] = (BatchSize.ROWS, FEW)) -> Value:
    """The output for a batch, compared with that for a smaller one: a value that shows which sizes are the batch.

    Raises:
        Misfit: the batch is not dimension 0 of the first tensor, or not there alone.
    """
    value = _value(many, few, rows)
    _check_batch(value)
    return value


def scaled(alike: Value, many: Any) -> Value:
    """The output for a large batch, with the batch where a value of other sizes has it; None where they disagree."""
    shown = list(leaves(alike))
    tensors = list(tensors_in(many))
    if len(shown) != len(tensors) or not all(map(_is_alike, shown, tensors)):
        return None
    return mapped(_scaled, alike, many)


def tensors_in(output: Any) -> Iterator[Tensor]:
    """The tensors of an output, in order.

    Raises:
        Misfit: it holds something else.
    """
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list):
        for item in output:
            yield from tensors_in(item)
    elif output is not None:
        raise Misfit("MF043", f"a layer must give tensors, but gives {a_class(output)}")


def complaint(
    error: BaseException,
    module: nn.Module,
    inputs: tuple[Value, ...],
    again: Callable[[], Any],
    rows: tuple[int, int],
    note: str = "",
) -> Misfit:
    """The problem of a failed run; `again` fails on a batch of another size, which shows the batch in torch's words."""
    shown = " and ".join(show(value) for value in inputs)
    name = type(module).__name__
    text = sentence(error)
    try:
        again()
    except (Exception, SystemExit) as other:
        text = _with_batch(text, sentence(other), rows)
    if _overflows(error):
        return Misfit("MF060", f"the output of {name} for {shown} is larger than torch can count: {text}")
    return Misfit("MF043", f"{name} cannot run on {shown}", rest=f"{note}: {text}")


class FewSteps(TorchFunctionMode):
    """Runs a few steps of a recurrence in place of all: torch would run every one of them. On the meta device, a
    bilinear layer is such a loop too, over its outputs."""

    RECURRENCES = frozenset({torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu})

    def __init__(self, count: int, *, few_layers: bool = False) -> None:
        super().__init__()
        self.count = count
        self.few_layers = few_layers
        """Whether the first layers stand for all layers of a recurrence."""
        self.lengths: set[int] = set()
        """How many steps the recurrences have of which a few were run."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.bilinear and args[2].is_meta:
            left, right, weight, *bias = args
            few = [value if value is None else value[: self.count] for value in (weight, *bias)]
            self.lengths.add(len(weight))
            return _lengthened(func(left, right, *few, **kwargs or {}), -1, len(weight))
        # A list of weights in the fourth place is a packed sequence.
        if func not in self.RECURRENCES or len(args) < 9 or not isinstance(args[3], bool):
            return func(*args, **kwargs or {})
        sequences, states, weights, has_biases, num_layers, *rest = args
        dim = int(rest[-1])  # batch first
        length = sequences.shape[dim]
        self.lengths.add(length)
        few = min(num_layers, 2) if self.few_layers else num_layers
        if few < num_layers:
            kept = len(states if isinstance(states, Tensor) else states[0]) // num_layers * few
            states = states[:kept] if isinstance(states, Tensor) else tuple(state[:kept] for state in states)
            weights = weights[: len(weights) // num_layers * few]
        steps = sequences.narrow(dim, 0, min(self.count, length))
        output, *after = func(steps, states, weights, has_biases, few, *rest, **kwargs or {})
        if few < num_layers:
            after = [_lengthened(state, 0, len(state) // few * num_layers) for state in after]
        return _lengthened(output, dim, length), *after


def _lengthened(value: Tensor, dim: int, length: int) -> Tensor:
    """A tensor that is as long as needed in one dimension: its last part there again and again."""
    parts = torch.arange(length, device=value.device).clamp(max=value.shape[dim] - 1)
    return value.index_select(dim, parts)


class _Counted(TorchDispatchMode):
    """Counts the elements that operations write."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, tuple | list) else (out,):
            if isinstance(value, Tensor):
                self.elements += value.numel()
        return out


def _again(module: nn.Module, inputs: tuple[Value, ...], rows: int) -> Any:
    with FewSteps(1, few_layers=True):
        return run(module, inputs, rows)


def _with_batch(text: str, other: str, rows: tuple[int, int]) -> str:
    """A message about a batch; numbers that differ for another batch are shown as they grow."""
    one, two = re.split(r"(\d+)", text), re.split(r"(\d+)", other)
    if one[::2] != two[::2]:
        return text
    pairs = zip(one, two, strict=True)
    return "".join(part if part == beside else str(compared(int(part), int(beside), rows)) for part, beside in pairs)


def _on_meta(value: TensorValue, rows: int) -> Tensor:
    return torch.empty(value.of(rows), dtype=getattr(torch, value.dtype), device="meta")


def _value(many: Any, few: Any, rows: tuple[int, int]) -> Value:
    if isinstance(many, Tensor):
        if not isinstance(few, Tensor) or few.ndim != many.ndim:
            raise Misfit("MF043", "a layer must give as many dimensions for each size of the batch, but does not")
        sizes = zip(many.shape, few.shape, strict=True)
        shape = tuple(compared(one, other, rows) for one, other in sizes)
        return TensorValue(shape, str(many.dtype).removeprefix("torch."))
    if many is None:
        return None
    if not isinstance(few, tuple | list) or len(few) != len(many):
        raise Misfit("MF043", "a layer must give as many tensors for each size of the batch, but does not")
    return tuple(_value(one, other, rows) for one, other in zip(many, few, strict=True))


def _is_alike(value: TensorValue, tensor: Tensor) -> bool:
    if len(value.shape) != tensor.ndim:
        return False
    sizes = zip(value.shape, tensor.shape, strict=True)
    return all(size == real for size, real in sizes if isinstance(size, BatchSize))


def _scaled(value: TensorValue, tensor: Tensor) -> TensorValue:
    sizes = zip(value.shape, tensor.shape, strict=True)
    shape = tuple(size if isinstance(size, BatchSize) else real for size, real in sizes)
    return TensorValue(shape, str(tensor.dtype).removeprefix("torch."))


def _check_batch(output: Value) -> None:
    value = at(output, first(output))
    if not isinstance(value, TensorValue):
        return
    hint = "dimension 0 is the batch; dimensions of the example start at 1"
    if not value.shape or not is_batch(value.shape[0]):
        message = f"the batch must stay dimension 0, but the output of a batch of B has the shape {value}"
        raise Misfit("MF044", message, hint)
    if any(isinstance(size, BatchSize) for size in value.shape[1:]):
        message = f"an example must not grow with its batch of B, but the output for one has the shape {value}"
        raise Misfit("MF044", message, hint)


def _overflows(error: BaseException) -> bool:
    """Whether a tensor has more elements or bytes than 64 bits count: all of torch's messages have this word."""
    return "overflow" in str(error).lower()
