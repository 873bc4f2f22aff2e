"""blocks: a network and a batch → functions of one example each, where examples do not see one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modelforge.core.errors import ForgeError
from modelforge.core.rng import Key
from modelforge.modules.calling import call, replaced, seed_devices, tensors
from modelforge.modules.untouched import gpus
from modelforge.signal.jacobian import MAX_BLOCKS, MAX_OUTPUTS, Function

ROUNDING = 1e-4
"""A difference that sums in another order make."""
_NUM_ROWS = 2
"""Examples in a batch of which one is looked at: some networks drop a dimension of size 1."""


def blocks(model: nn.Module, batch: Any, entry: str | None, seed: int) -> Iterator[Function]:
    """Functions of the first examples, one each; or one of the whole batch, where its examples see one another.

    Args:
        model: On the device of the batch.
        batch: As the model takes it.
        entry: The module whose output takes the place of an input of integers.
        seed: Of all that the model draws.
    """
    has_floats = any(tensor.is_floating_point() for _, tensor in tensors(batch))
    if not has_floats and entry is None:
        return
    run = _of_inputs if has_floats else _of_entry
    key = Key(seed, "probe", "forward")

    def function(given: Any, row: int | None) -> Function:
        return run(model, given, key, entry or "", row)

    inputs, output = function(batch, None)(None)
    num_rows = output.shape[0] if output.ndim else 1
    separate = _are_separate(inputs, output, Key(seed, "probe", "rows").generator())
    runs: dict[bool, Tensor] = {}
    for floats_only in (False, True) if separate else ():
        if (found := _runs(function(_rows(batch, 0, num_rows, floats_only=floats_only), 0))) is not None:
            runs[floats_only] = found
    if not runs:
        yield function(batch, None)
        return
    # Whole numbers of the batch's size may be a table of all examples: then, the first one is not what it was.
    same = [which for which, found in runs.items() if torch.allclose(found, output[:1], rtol=ROUNDING, atol=ROUNDING)]
    floats_only = next(iter(same or runs))
    per_row = max(output[0].numel(), 1)
    for row in range(min(num_rows, MAX_BLOCKS, max(MAX_OUTPUTS // per_row, 1))):
        yield function(_rows(batch, row, num_rows, floats_only=floats_only), 0)


def _rows(batch: Any, row: int, num_rows: int, *, floats_only: bool) -> Any:
    """A batch of few examples, beginning with one of them."""
    chosen = torch.arange(row, row + _NUM_ROWS) % num_rows

    def picked(value: Tensor) -> Tensor:
        counts = value.ndim and value.shape[0] == num_rows and (value.is_floating_point() or not floats_only)
        return value[chosen.to(value.device)] if counts else value

    return replaced(batch, picked)


def _runs(function: Function) -> Tensor | None:
    """What a network gives for a smaller batch; None where it cannot run: some fix its size."""
    try:
        return function(None)[1]
    except ForgeError:
        return None


def _are_separate(inputs: Sequence[Tensor], output: Tensor, generator: torch.Generator) -> bool:
    """Whether the first dimension counts examples, none of which depends on another."""
    if not output.ndim or output.shape[0] < 2 or not output.requires_grad:
        return False
    if any(not value.ndim or value.shape[0] != output.shape[0] for value in inputs):
        return False
    for row in (0, output.shape[0] - 1):
        given = torch.randn(output[row].shape, generator=generator).to(output)
        found = torch.autograd.grad(output[row], inputs, given, retain_graph=True, materialize_grads=True)
        if any(bool(torch.cat([part[:row], part[row + 1 :]]).count_nonzero()) for part in found):
            return False
    return True


def _of_inputs(model: nn.Module, batch: Any, key: Key, entry: str, row: int | None) -> Function:
    """The network as a function of its floating-point inputs, or of one row of each."""

    def function(values: Sequence[Tensor] | None) -> tuple[Sequence[Tensor], Tensor]:
        floats = [tensor for _, tensor in tensors(batch) if tensor.is_floating_point()]
        leaves = values if values is not None else [_leaf(value, row) for value in floats]
        whole = iter([_placed(leaf, value, row) for leaf, value in zip(leaves, floats, strict=True)])
        given = replaced(batch, lambda value: next(whole) if value.is_floating_point() else value.clone())
        return leaves, _output(model, given, key, row)

    return function


def _of_entry(model: nn.Module, batch: Any, key: Key, entry: str, row: int | None) -> Function:
    """The network as a function of what one of its modules makes of integers, or of one row of that."""

    def function(values: Sequence[Tensor] | None) -> tuple[Sequence[Tensor], Tensor]:
        leaves: list[Tensor] = []

        def replace(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
            if leaves:
                return None
            leaves.append(values[0] if values is not None else _leaf(output, row))
            return _placed(leaves[0], output, row)

        hook = model.get_submodule(entry).register_forward_hook(replace)
        try:
            output = _output(model, replaced(batch, torch.clone), key, row)
        finally:
            hook.remove()
        return leaves, output

    return function


def _leaf(value: Tensor, row: int | None) -> Tensor:
    return (value if row is None else value[row : row + 1]).detach().clone().requires_grad_()


def _placed(leaf: Tensor, value: Tensor, row: int | None) -> Tensor:
    """The whole value with a row replaced; a copy, which the network may write into."""
    return leaf.clone() if row is None else torch.cat([value[:row].detach(), leaf, value[row + 1 :].detach()])


def _output(model: nn.Module, batch: Any, key: Key, row: int | None) -> Tensor:
    """The first floating-point output."""
    seed_devices(key, gpus(model))
    found = next((value for _, value in tensors(call(model, batch)) if value.is_floating_point()), None)
    found = torch.zeros(0) if found is None else found
    return found if row is None else found[row : row + 1]
