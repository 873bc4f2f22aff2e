"""prove: a config and the network that it was written from → problems where the two differ, or why nothing is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from modelforge.building.build import build
from modelforge.core.errors import Problem
from modelforge.core.quoting import listed, sentence
from modelforge.core.rng import Key, keyed_globals
from modelforge.core.words import magnitude, plural
from modelforge.diagnosis.measuring import random_batch
from modelforge.language.parse import parse
from modelforge.planning.flops import num_flops
from modelforge.planning.plan import Plan, plan

MAX_NAMED = 5
CLOSE = 1e-4
"""The share of a number that may differ: of the largest that it is in a batch."""
ROUNDED = 1e-6
"""The share of the largest number of an output by which others are rounded in single precision."""
SMALL = 1e-12
"""The same in double precision."""
MAX_PARAMETERS = 100_000_000
"""Of a module without memory that gets some."""
MAX_COST = 1e11
"""Floating-point operations for which a module without memory is run."""
_HINT = "what `forward` does besides calling layers is lost: register its class as a layer, or report this"


def prove(config: Mapping[str, Any], module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[list[Problem], str]:
    """Builds the network, draws new values for both, and runs both in evaluation: on a batch, and on twice as many.

    The values of the module may hide a difference (a head that starts at 0 does), and those of the examples as well: so
    weights are drawn, and half of the examples.

    Args:
        config: What was written.
        module: A copy of what it was written from: its parameters get other values, and memory where they had none.
        inputs: The examples; of those without memory only shapes count.

    Returns:
        The problems; and why nothing is proven, empty where it is.

    Raises:
        ForgeError: the config has faults of its own.
    """
    weights = dict(module.named_parameters())
    parsed = parse(config, init={"params": {"*": "zeros"}} if weights else None)
    planned = plan(parsed)
    mine = {item.path: item.shape for item in planned.parameters}
    if problems := _compare(module, mine, _shapes(weights.items())):
        return problems, ""
    empty = any(value.is_meta for value in (*weights.values(), *module.buffers()))
    if empty and (reason := _too_large(planned, len(inputs[0]))):
        return [], reason
    kinds = {value.dtype for value in weights.values()}
    twin = build(planned, dtype=next(iter(kinds)) if kinds else None)
    if problems := _compare(module, _shapes(twin.state_dict().items()), _shapes(module.state_dict().items())):
        return problems, ""
    names = _first_names(module)
    if empty and (reason := _materialise(module, twin)):
        return [], reason
    _draw(module, names)
    twin.load_state_dict(module.state_dict())
    device = next((value.device for value in (*module.parameters(), *inputs) if not value.is_meta), torch.device("cpu"))
    twin.to(device).eval()
    module.eval()
    return _outputs_compared(module, twin, _batches(planned, module, inputs, device), empty=empty)


def _outputs_compared(
    module: nn.Module, twin: nn.Module, batches: Sequence[tuple[Tensor, ...]], *, empty: bool
) -> tuple[list[Problem], str]:
    """Where both networks give other outputs, or why nothing is proven."""
    its, unequal = None, list[tuple[Tensor, ...]]()
    for batch in batches:
        try:
            its, ours = _run(module, batch), _run(twin, batch)
        except Exception as error:
            reason = f"the network cannot run on {plural(len(batch[0]), 'example')}: {sentence(error)}"
            # Without memory, what is neither a parameter nor a buffer got no values.
            return ([], reason) if empty else ([_problem(module, reason)], "")
        if not _same(its, ours):
            return [_differs(module, batch)], ""
        if not _same(its, ours, 0.0):
            unequal.append(batch)
    differing = _different_in_double(module, twin, batches)
    if differing is None:
        differing = unequal
    if differing:
        return [_differs(module, differing[0])], ""
    shows = all(map(_says_something, _tensors(its)))
    return [], "" if shows else "an output is 0, NaN or infinity, whatever is drawn: equal ones say nothing"


def _too_large(planned: Plan, num_examples: int) -> str:
    """Why a module without memory gets none; empty where it does."""
    if planned.num_parameters > MAX_PARAMETERS:
        return f"{magnitude(planned.num_parameters)} parameters without memory are too many to compare outputs"
    cost = 6 * num_examples * sum(num_flops(planned).values())  # both networks, on one batch and on two
    return "a module without memory is too costly to run" if cost > MAX_COST else ""


def _first_names(module: nn.Module) -> dict[str, str]:
    """The parameters by all their names, each with its first one."""
    first: dict[int, str] = {}
    named = module.named_parameters(remove_duplicate=False)
    return {name: first.setdefault(id(weight), name) for name, weight in named}


def _materialise(module: nn.Module, twin: nn.Module) -> str:
    """Gives a module memory, and its buffers the values of the twin's; or says why that cannot be done."""
    module.to_empty(device="cpu")
    buffers = dict(twin.named_buffers())
    for name, buffer in module.named_buffers():
        if name not in buffers or buffers[name].shape != buffer.shape:
            return f"it is not known what the buffer `{name}` holds, which has no memory"
        buffer.copy_(buffers[name])
    return ""


def _draw(module: nn.Module, names: Mapping[str, str]) -> None:
    """Draws all parameters, so that signals keep about their size, and none is 0."""
    with torch.no_grad():
        for name, weight in module.named_parameters(remove_duplicate=False):
            if weight.is_floating_point():
                generator = Key(0, "from_module", names[name]).generator()
                std = max(1, prod(weight.shape[1:])) ** -0.5
                weight.copy_(std * torch.randn(weight.shape, generator=generator))


def _batches(
    planned: Plan, module: nn.Module, inputs: tuple[Tensor, ...], device: torch.device
) -> list[tuple[Tensor, ...]]:
    """One batch, and twice as many examples: those that are given, then drawn ones, where the module runs on these."""
    count = len(inputs[0])
    drawn = [
        value.to(device, example.dtype)
        for value, example in zip(random_batch(planned, 2 * count).inputs, inputs, strict=True)
    ]
    if any(value.is_meta for value in inputs):
        return [tuple(value[:count] for value in drawn), tuple(drawn)]
    both = tuple(torch.cat((example, value[count:])) for example, value in zip(inputs, drawn, strict=True))
    try:
        _run(module, both)
    except Exception:  # whole numbers may mean what is not known here
        both = tuple(torch.cat((value, value)) for value in inputs)
    return [inputs, both]


def _run(module: nn.Module, batch: tuple[Tensor, ...]) -> Any:
    """The output; a layer that draws draws the same in both networks."""
    with torch.no_grad(), keyed_globals(0, "from_module"):
        return _named(module(*(value.clone() for value in batch)))


def _named(result: Any) -> Any:
    """The output of a config's model for this output: a dict in place of a namedtuple or a dataclass."""
    names = getattr(result, "_fields", None) if isinstance(result, tuple) else None
    if dataclasses.is_dataclass(result) and not isinstance(result, Mapping):
        names = [item.name for item in dataclasses.fields(result)]
    if names is None:
        return result
    return {name: value for name in names if (value := getattr(result, name)) is not None}


def _tensors(result: Any) -> Iterator[Tensor]:
    for value in result.values() if isinstance(result, Mapping) else [result]:
        if isinstance(value, Tensor):
            yield value


def _says_something(output: Tensor) -> bool:
    return not output.is_floating_point() or bool((output.isfinite() & (output != 0)).any())


def _shapes(named: Iterable[tuple[str, Tensor]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in named}


def _compare(module: nn.Module, mine: dict[str, tuple[int, ...]], its: dict[str, tuple[int, ...]]) -> list[Problem]:
    if mine == its:
        return []
    differing = sorted(name for name in mine.keys() | its.keys() if mine.get(name) != its.get(name))
    return [_problem(module, f"the config makes other parameters: {listed(differing, MAX_NAMED)}")]


def _differs(module: nn.Module, batch: tuple[Tensor, ...]) -> Problem:
    examples = plural(len(batch[0]), "example")
    return _problem(module, f"for {examples}, the network of the config gives other outputs than the module")


def _problem(module: nn.Module, message: str) -> Problem:
    return Problem("MF135", type(module).__name__, message, _HINT, part="key")


def _different_in_double(
    module: nn.Module, twin: nn.Module, batches: Sequence[tuple[Tensor, ...]]
) -> list[tuple[Tensor, ...]] | None:
    """The batches for which the networks differ in double precision, where rounding hides no small number beside large
    ones; None where one cannot run in it."""
    module.double()
    twin.double()
    wide = [tuple(value.double() if value.is_floating_point() else value for value in batch) for batch in batches]
    try:
        return [batch for batch in wide if not _same(_run(module, batch), _run(twin, batch), SMALL)]
    except Exception:  # it has numbers of a dtype of its own
        return None


def _same(one: Any, other: Any, rounded: float = ROUNDED) -> bool:
    """Whether outputs are equal, but for rounding: of each number beside what it is for other examples, and of all
    beside the largest."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[name], other[name], rounded) for name in one)
    if not isinstance(one, Tensor) or not isinstance(other, Tensor) or one.shape != other.shape:
        return False
    if not one.is_floating_point():
        return torch.equal(one, other)
    if not one.numel():
        return True
    known = one.isfinite()
    same_places = torch.equal(known, other.isfinite())
    if not same_places or not torch.equal(one[~known].nan_to_num(), other[~known].nan_to_num()):
        return False
    close = 1.0 if one.dtype in (torch.float32, torch.float64) else 300.0
    values, differ = (it.where(known, 0.0).double().abs() for it in (one, one - other))
    here = values.amax(dim=0, keepdim=True) if values.ndim else values
    return bool((differ <= close * (CLOSE * here + rounded * values.amax())).all())
