"""stuck: what training cannot change in a network as it starts: units that stay equal, parameters without gradients.

Units stay equal where what makes them is equal and what reads them treats them alike: then their gradients are equal
too, and a pass backward shows it, whatever the network. Equal units whose readers differ part in the first step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.paths import join
from modelforge.core.quoting import sentence
from modelforge.core.rng import Key
from modelforge.modules.calling import call, replaced, seed_devices, shapes
from modelforge.modules.parameters import layout
from modelforge.modules.untouched import gpus, untouched
from modelforge.signal.passes import bare, eager, ends_of

TOLERANCE = 1e-5
"""Gradients are equal where they differ by less than this share of the largest."""

_STEP = 1e-2


@dataclass(frozen=True, slots=True)
class EqualUnits:
    """Units of one layer that start equal and get equal gradients."""

    path: str
    """Of the weight."""
    groups: tuple[tuple[int, ...], ...]
    """Numbers of the units that are equal to one another; units that are like no other are left out."""
    num_units: int

    @property
    def num_distinct(self) -> int:
        """The number of units that the layer is worth."""
        return self.num_units - sum(len(group) - 1 for group in self.groups)


@dataclass(frozen=True, slots=True)
class Stuck:
    """What training cannot change, as far as one batch shows."""

    equal_units: tuple[EqualUnits, ...]
    zero_gradients: tuple[str, ...]
    """Parameters whose gradient is zero throughout, also after one step: of two zeros in series, or cut by a ReLU."""
    unused: tuple[str, ...]
    """Parameters that the output does not depend on."""
    not_finite: tuple[str, ...] = ()
    """Parameters whose gradient holds NaN or infinity: no step from there is one."""


def find_stuck(model: nn.Module, batch: Any, *, seed: int = 0) -> Stuck:
    """Finds units that stay equal and parameters without gradients, in two passes; frozen parameters are left out.

    The model is afterwards what it was, as after `probe`. Dropout makes equal units differ: in evaluation mode they
    are found all the same.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        >>> for weight in net.parameters():
        ...     _ = nn.init.constant_(weight, 0.5)
        >>> found = find_stuck(net, torch.randn(8, 3))
        >>> [(units.path, units.groups) for units in found.equal_units]
        [('0.weight', ((0, 1, 2, 3),))]

    Raises:
        ForgeError: the model cannot run on the batch, or has no gradients there.
    """
    model = bare(model)
    weights = {path: weight for path, weight in model.named_parameters() if weight.requires_grad}
    with untouched(model), eager(model), torch.inference_mode(False), torch.enable_grad():
        first = _gradients(model, weights, batch, seed)
        # One zero factor is left after one step, two in series never are.
        moved = {path: _moved(weight, first[path]) for path, weight in weights.items()}
        second = _gradients(model, moved, batch, seed)
        return Stuck(
            tuple(_equal_units(model, first)),
            tuple(path for path in weights if _is_zero(first[path]) and _is_zero(second[path])),
            tuple(path for path in weights if first[path] is None),
            tuple(path for path in weights if not _is_finite(first[path])),
        )


def _gradients(model: nn.Module, weights: Mapping[str, Tensor], batch: Any, seed: int) -> dict[str, Tensor | None]:
    """The gradient of each weight, of the network with these weights; None where nothing depends on it."""

    def network(*args: Any, **kwargs: Any) -> Any:
        return functional_call(model, dict(weights), args, kwargs)

    seed_devices(Key(seed, "probe", "forward"), gpus(model))
    output = call(network, replaced(batch, lambda value: value.detach().clone()))
    ends, given = ends_of(output, None, seed)
    if not (ends and weights):
        return dict.fromkeys(weights)
    try:
        found = torch.autograd.grad(ends, [*weights.values()], given, allow_unused=True)
    except RuntimeError as error:
        message = f"{type(model).__name__} has no gradients on this batch {shapes(batch)}: {sentence(error)}"
        raise ForgeError([Problem("MF050", "batch", message)]) from error
    return dict(zip(weights, found, strict=True))


def _moved(weight: Tensor, gradient: Tensor | None) -> Tensor:
    """A weight after a small step."""
    if gradient is None or not gradient.any():
        return weight.detach().requires_grad_()
    return (weight - _STEP * gradient / gradient.abs().max()).detach().requires_grad_()


def _is_zero(gradient: Tensor | None) -> bool:
    return gradient is not None and not bool(gradient.any())


def _is_finite(gradient: Tensor | None) -> bool:
    return gradient is None or bool(gradient.isfinite().all())


def _equal_units(model: nn.Module, gradients: Mapping[str, Tensor | None]) -> Iterator[EqualUnits]:
    for prefix, module in model.named_modules():
        for name, item in layout(module).items():
            path = join(prefix, name)
            gradient = gradients.get(path)
            if item.role != "weight" or gradient is None or not gradient.any():
                continue
            weight = item.outputs_first(getattr(module, name).detach())
            rows, slopes = weight.flatten(1), item.outputs_first(gradient).flatten(1)
            bias = getattr(module, "bias", None)
            if isinstance(bias, Tensor) and bias.shape == rows.shape[:1]:
                rows = torch.cat([rows, bias.detach()[:, None]], dim=1)
            if groups := tuple(_groups(rows, slopes)):
                yield EqualUnits(path, groups, len(rows))


def _groups(rows: Tensor, slopes: Tensor) -> Iterator[tuple[int, ...]]:
    """The rows that are equal, and whose gradients are equal and not zero."""
    _, kinds, counts = torch.unique(rows[:, 0], return_inverse=True, return_counts=True)
    begins_alike = counts[kinds].gt(1).nonzero().flatten()
    if not len(begins_alike):
        return  # comparing whole rows takes long
    _, kinds, counts = torch.unique(rows[begins_alike], dim=0, return_inverse=True, return_counts=True)
    scale = float(slopes.abs().max())
    for kind in counts.gt(1).nonzero().flatten().tolist():
        rest = [row for row in begins_alike[kinds.eq(kind)].tolist() if bool(slopes[row].any())]
        while rest:
            alike = (slopes[rest] - slopes[rest[0]]).abs().amax(dim=1) <= TOLERANCE * scale
            group = tuple(row for row, same in zip(rest, alike.tolist(), strict=True) if same)
            if len(group) > 1:
                yield group
            rest = [row for row in rest if row not in group]
