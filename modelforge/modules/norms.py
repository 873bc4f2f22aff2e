"""norms: a norm of an unregistered class → the value of its scale that changes nothing.

Most norms multiply by their weight, some (Gemma's, Qwen3-Next's) by 1 + weight: names and shapes do not show which, so
the module is run. Whether ones or zeros mean "as it is" must not be guessed.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def neutral_scale(module: nn.Module) -> float | None:
    """1 where a norm multiplies by its weight, 0 where by 1 + weight; None where it is not a norm, or cannot be asked.

    A norm has `norm` in its class's name, a vector `weight`, at most a `bias` beside it, and takes one tensor. It is
    run on the CPU in single precision, a shallow copy of it and without hooks, with weights that are not its own.
    """
    own = {name: weight for name, weight in module._parameters.items() if weight is not None}
    if "norm" not in type(module).__name__.lower() or not {"weight"} <= own.keys() <= {"weight", "bias"}:
        return None
    if any(weight.ndim != 1 for weight in own.values()):
        return None
    try:
        below, at_zero, at_one = (_run(module, own, value) for value in (-1.0, 0.0, 1.0))
        if _vanishes(at_zero) and _is_sound(at_one):
            return 1.0
        return 0.0 if _vanishes(below) and _is_sound(at_zero) else None
    except Exception:  # whatever a stranger's code raises or returns, there is no answer
        return None


def _run(module: nn.Module, own: dict[str, nn.Parameter], scale: float) -> Tensor:
    twin = copy.copy(module)
    values = {
        name: torch.full(weight.shape, scale if name == "weight" else 0.0, dtype=torch.float32, device="cpu")
        for name, weight in own.items()
    }
    twin.__dict__["_parameters"] = values
    with torch.no_grad(), torch.device("cpu"):
        return twin.forward(torch.linspace(-1.0, 2.0, len(own["weight"]), dtype=torch.float32)[None, None])


def _vanishes(values: Tensor) -> bool:
    return bool((values == 0).all())


def _is_sound(values: Tensor) -> bool:
    return bool(values.isfinite().all()) and bool((values != 0).any())
