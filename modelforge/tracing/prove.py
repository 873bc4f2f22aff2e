"""prove: a config and the network that it was written from → problems where the two differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modelforge.building.build import build
from modelforge.core.errors import Problem
from modelforge.core.quoting import listed, sentence
from modelforge.core.rng import keyed_globals
from modelforge.language.parse import parse
from modelforge.planning.plan import plan

MAX_NAMED = 5
_HINT = "what `forward` does besides calling layers is lost: register its class as a layer, or report this"


def prove(config: Mapping[str, Any], module: nn.Module, inputs: tuple[Tensor, ...]) -> list[Problem]:
    """Builds the network, loads the module's values, and runs both in evaluation, on one batch and on twice that.

    Raises:
        ForgeError: the config has faults of its own.
    """
    weights = dict(module.named_parameters())
    parsed = parse(config, init={"params": {"*": "zeros"}} if weights else None)
    if any(value.is_meta for value in (*weights.values(), *inputs)):
        planned = {item.path: item.shape for item in plan(parsed).parameters}  # without memory, what the plan says
        return _compare(module, planned, _shapes(module.named_parameters()))
    kinds = {value.dtype for value in weights.values()}
    twin = build(parsed, dtype=next(iter(kinds)) if kinds else None)
    state = module.state_dict()
    if problems := _compare(module, _shapes(twin.state_dict().items()), _shapes(state.items())):
        return problems
    twin.load_state_dict(state)
    twin.to(inputs[0].device).eval()
    module.eval()
    for batch in (inputs, tuple(torch.cat((value, value)) for value in inputs)):
        try:
            same = _same(_run(module, batch), _run(twin, batch))
        except Exception as error:
            return [_problem(module, f"the network cannot run on {len(batch[0])} examples: {sentence(error)}")]
        if not same:
            message = f"for {len(batch[0])} examples, the network of the config gives other outputs than the module"
            return [_problem(module, message)]
    return []


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


def _shapes(named: Iterable[tuple[str, Tensor]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in named}


def _compare(module: nn.Module, mine: dict[str, tuple[int, ...]], its: dict[str, tuple[int, ...]]) -> list[Problem]:
    if mine == its:
        return []
    differing = sorted(name for name in mine.keys() | its.keys() if mine.get(name) != its.get(name))
    return [_problem(module, f"the config makes other parameters: {listed(differing, MAX_NAMED)}")]


def _problem(module: nn.Module, message: str) -> Problem:
    return Problem("MF135", type(module).__name__, message, _HINT, part="key")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if not isinstance(one, Tensor) or not isinstance(other, Tensor) or one.shape != other.shape:
        return False
    if not one.is_floating_point():
        return torch.equal(one, other)
    close = 1e-4 if one.dtype in (torch.float32, torch.float64) else 3e-2
    return torch.allclose(
        one, other, rtol=close, atol=close * float(one.abs().amax()) if one.numel() else 0.0, equal_nan=True
    )
