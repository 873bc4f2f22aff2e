"""prove: whether a config makes the network that it was written from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modelforge.build import build
from modelforge.errors import ForgeError, Problem
from modelforge.rng import preserved_globals
from modelforge.spec.parse import parse

_HINT = "what `forward` does besides calling layers is lost: register its class as a layer, or report this"


def prove(config: Mapping[str, Any], module: nn.Module, inputs: tuple[Tensor, ...]) -> list[Problem]:
    """Builds the network, loads the module's values, and runs both in evaluation, on one batch and on twice that."""
    weights = dict(module.named_parameters())
    parsed = parse(config, init={"params": {"*": "zeros"}} if weights else None)
    kinds = {value.dtype for value in weights.values()}
    try:
        twin = build(parsed, dtype=next(iter(kinds)) if kinds else None)
    except ForgeError as error:
        return list(error.problems)
    mine, others = twin.state_dict(), module.state_dict()
    if {name: value.shape for name, value in mine.items()} != {name: value.shape for name, value in others.items()}:
        differing = sorted({*mine} ^ {*others}) or [name for name in mine if mine[name].shape != others[name].shape]
        return [_problem(module, f"the config makes other parameters: {', '.join(differing[:5])}")]
    if any(value.is_meta for value in (*weights.values(), *inputs)):
        return []
    device = next((value.device for value in (*weights.values(), *inputs)), None)
    twin.load_state_dict(others)
    twin.to(device).eval()
    module.eval()
    for batch in (inputs, tuple(torch.cat((value, value)) for value in inputs)):
        with torch.no_grad(), preserved_globals():
            if not _same(module(*(value.clone() for value in batch)), twin(*(value.clone() for value in batch))):
                return [_problem(module, f"the config makes a network with other outputs for {len(batch[0])} examples")]
    return []


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
