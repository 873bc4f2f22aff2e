"""What layers of torch.nn start with by themselves: mean and std of each parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod, sqrt

from modelforge.planning.assign import ParameterPlan

Law = Callable[[Mapping[str, ParameterPlan], str], tuple[float, float] | None]
"""From the parameters of a layer and the name of one to its mean and std; None where it is not known."""


def by_fan(parameters: Mapping[str, ParameterPlan], name: str) -> tuple[float, float] | None:
    """w, b ~ U(-1/√fan_in, 1/√fan_in), the fan of the weight as it is stored."""
    del name
    fan = prod(parameters["weight"].shape[1:])
    return (0.0, 1 / sqrt(3 * fan)) if fan else None


def normal(parameters: Mapping[str, ParameterPlan], name: str) -> tuple[float, float] | None:
    """w ~ N(0, 1)."""
    del parameters, name
    return 0.0, 1.0


def of_norm(parameters: Mapping[str, ParameterPlan], name: str) -> tuple[float, float] | None:
    """A scale of 1, a bias of 0."""
    del parameters
    return (0.0, 0.0) if name == "bias" else (1.0, 0.0)


def of_recurrent(parameters: Mapping[str, ParameterPlan], name: str) -> tuple[float, float] | None:
    """All ~ U(-1/√hidden, 1/√hidden)."""
    del name
    projected = [one for part, one in parameters.items() if part.startswith("weight_hr")]
    recurrent = [one for part, one in parameters.items() if part.startswith("weight_hh")]
    return 0.0, 1 / sqrt(3 * (projected or recurrent)[0].shape[-1])


def of_bilinear(parameters: Mapping[str, ParameterPlan], name: str) -> tuple[float, float] | None:
    """w, b ~ U(-1/√n, 1/√n) for n features of the first input."""
    del name
    return 0.0, 1 / sqrt(3 * parameters["weight"].shape[1])


def of_attention(parameters: Mapping[str, ParameterPlan], name: str) -> tuple[float, float] | None:
    """Xavier's uniform law for projections as they are stored, a third of LeCun's variance at the end, biases of 0."""
    shape = parameters[name].shape
    if "bias" in name:
        return 0.0, 0.0
    return 0.0, 1 / sqrt(3 * shape[1]) if name == "out_proj.weight" else sqrt(2 / (shape[0] + shape[1]))


def of_transformer(parameters: Mapping[str, ParameterPlan], name: str) -> tuple[float, float] | None:
    """Xavier's uniform law for matrices as they are stored; biases of attention 0, those of linear layers by fan."""
    shape = parameters[name].shape
    if len(shape) > 1:
        return 0.0, sqrt(2 / (shape[0] + shape[1]))
    return by_fan(parameters, name) if name == "bias" else (0.0, 0.0)
