"""What a few built models do with random inputs, to compare with what was predicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, isfinite, log, sqrt
from typing import Any, NamedTuple

import torch

import modelforge as mf
from modelforge.core.tensors import leaves
from modelforge.signal.predict import NodeSignal, Prediction
from modelforge.signal.value import Gradient, Signal

ROUNDING = -60.0
"""ln of an energy that counts as none."""
WIDEST = 1.0
"""The largest spread that is predicted, unless a test says otherwise: a greater one would excuse anything."""
TAILS = 4 / 3
"""By how many more spreads a mean may be off: numbers that are alike by chance have tails that are not normal."""
EXACT = 3e-3
"""By how much a mean logarithm may be off in any case: after a norm, energies do not scatter."""
OFF = 0.05
"""By how much a mean may be off in any case, in units of the root mean square."""


class Found(NamedTuple):
    """What was measured at one place, one number a seed."""

    forward: list[float]
    """ln of the mean square of the output."""
    backward: list[float]
    """ln of that of the gradient; none where no gradient arrives."""
    means: list[float]
    """The mean of the output."""


def measured(plan: mf.Plan, spec: mf.ModelSpec, *, seeds: int, batch: int, training: bool = True) -> dict[str, Found]:
    """What each leaf of a few built models gives, and the gradient there."""
    found: dict[str, Found] = {}
    leaf_paths = [layer.path for layer in plan.layers if not layer.children]
    for seed in range(seeds):
        model = mf.build(spec, seed=seed).train(training)
        kept: dict[str, torch.Tensor] = {}

        def keep(path: str, kept: dict[str, torch.Tensor] = kept) -> Any:
            def hook(module: torch.nn.Module, inputs: Any, output: Any) -> Any:
                tensor = output
                while isinstance(tensor, tuple):
                    tensor = tensor[0]
                if tensor.requires_grad:
                    tensor = tensor.view_as(tensor)  # a name of its own, whatever works in place after it
                    tensor.retain_grad()
                kept[path] = tensor
                return _with_first(output, tensor)

            return hook

        for path in leaf_paths:
            model.get_submodule(path).register_forward_hook(keep(path))
        torch.manual_seed(seed)
        inputs = {name: _random(value.of(batch), value.dtype, plan) for name, value in plan.inputs.items()}
        for name, tensor in inputs.items():
            kept[name] = tensor
        outputs = model(*inputs.values())
        sum((out * torch.randn_like(out)).sum() for out in _tensors(outputs)).backward()
        for path, tensor in kept.items():
            at = found.setdefault(path, Found([], [], []))
            at.forward.append(_energy(tensor))
            at.means.append(float(tensor.detach().double().mean()))
            if tensor.grad is not None:
                at.backward.append(_energy(tensor.grad))
    assert len(list(leaves(plan.output))) >= 1
    return found


def _with_first(output: Any, tensor: torch.Tensor) -> Any:
    return (_with_first(output[0], tensor), *output[1:]) if isinstance(output, tuple) else tensor


def _random(sizes: tuple[int, ...], dtype: str, plan: mf.Plan) -> torch.Tensor:
    if "float" in dtype:
        return torch.randn(sizes, requires_grad=True)
    tables = [layer.arguments["num_embeddings"] for layer in plan.layers if "num_embeddings" in layer.arguments]
    return torch.randint(0, min(tables), sizes)


def _tensors(outputs: Any) -> list[torch.Tensor]:
    if isinstance(outputs, Mapping):
        outputs = tuple(outputs.values())
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


def _energy(tensor: torch.Tensor) -> float:
    energy = float(tensor.detach().double().square().mean())
    return log(energy) if energy > 0 else -inf


def misses(
    prediction: Prediction, found: Mapping[str, Found], sigmas: float = 3.0, widest: float = WIDEST, spare: float = 0.0
) -> list[str]:
    """What is off at nodes: mean logarithms of energies and means by more than `sigmas` spreads, spreads themselves.

    The logarithm of an energy that scatters with variance s² has its mean s²/2 below the logarithm of the mean.

    Args:
        prediction: What is predicted.
        found: What was measured.
        sigmas: How many spreads a mean may be off.
        widest: The largest spread.
        spare: By how much a mean logarithm may be off on top of that.
    """
    return [
        f"{node.path} ({node.type}) {miss}"
        for node in prediction.nodes
        if node.path in found
        for miss in _missed(node, found[node.path], sigmas, widest, spare)
    ]


def _missed(node: NodeSignal, found: Found, sigmas: float, widest: float, spare: float) -> Iterator[str]:
    signal, gradient = node.signal, node.gradient
    if signal is not None:
        yield from _off("forward", found.forward, signal, signal.second, sigmas, widest, spare)
        if signal.scatter is None:  # where examples are far apart, the mean of a few says nothing
            yield from _mean_off(found.means, signal, sigmas)
    if gradient is not None:
        yield from _off("backward", found.backward, gradient, gradient.energy, sigmas, widest, spare)


def _off(
    which: str,
    logs: list[float],
    expected: Signal | Gradient,
    energy: float,
    sigmas: float,
    widest: float,
    spare: float,
) -> Iterator[str]:
    if not logs:
        return
    if energy == 0 or not all(map(isfinite, logs)):
        if energy > 0 or max(logs) > ROUNDING:
            yield f"{which}: {energy:.3g}, but ln of what is measured is {max(logs):.3g}"
        return
    off, allowed = sum(logs) / len(logs) - expected.log_mean, EXACT + spare + sigmas * expected.spread / sqrt(len(logs))
    if abs(off) > allowed:
        yield f"{which}: off by {off:+.3f}, allowed {allowed:.3f}"
    if expected.spread > widest:
        yield f"{which}: a spread of {expected.spread:.3g} is above {widest:.3g}"


def _mean_off(means: list[float], signal: Signal, sigmas: float) -> Iterator[str]:
    own = max(0.0, signal.overlap(signal.second, signal.along, signal.across) - signal.mean**2)
    spread = sqrt(own / signal.shape.num_units + (signal.mean * signal.spread / 2) ** 2)
    off = sum(means) / len(means) - signal.mean
    allowed = TAILS * sigmas * spread / sqrt(len(means)) + OFF * sqrt(signal.second)
    if abs(off) > allowed:
        yield f"mean: {signal.mean:.3g}, off by {off:+.3g}, allowed {allowed:.3g}"
