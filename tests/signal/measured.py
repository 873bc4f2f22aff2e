"""What a few built models do with random inputs, to compare with what was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt
from typing import Any

import torch

import modelforge as mf
from modelforge.core.tensors import leaves
from modelforge.signal.predict import NodeSignal, Prediction


def measured(
    plan: mf.Plan, spec: mf.ModelSpec, *, seeds: int, batch: int, training: bool = True
) -> dict[str, tuple[list[float], list[float]]]:
    """For each leaf ln of the mean square of its output and of the gradient there, one number a seed."""
    found: dict[str, tuple[list[float], list[float]]] = {}
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
                    tensor = tensor.view_as(tensor)  # a name of its own, whatever works in place behind
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
            forward, backward = found.setdefault(path, ([], []))
            forward.append(_energy(tensor))
            if tensor.grad is not None:
                backward.append(_energy(tensor.grad))
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
    return log(energy) if energy > 0 else -float("inf")


def misses(
    prediction: Prediction, found: Mapping[str, tuple[list[float], list[float]]], sigmas: float = 3.0
) -> list[str]:
    """Nodes whose measured energies lie off by more than `sigmas` spreads of their mean logarithm.

    The logarithm of an energy that scatters with variance s² has its mean s²/2 below the logarithm of the mean.
    """
    wrong: list[str] = []
    for node in prediction.nodes:
        if node.path in found:
            wrong += _missed(node, found[node.path], sigmas)
    return wrong


def _missed(node: NodeSignal, found: tuple[list[float], list[float]], sigmas: float) -> list[str]:
    signal, gradient = node.signal, node.gradient
    pairs = [("forward", found[0], signal and signal.second and (signal.log_mean, signal.spread))]
    pairs.append(("backward", found[1], gradient and gradient.energy and (gradient.log_mean, gradient.spread)))
    wrong: list[str] = []
    for which, logs, expected in pairs:
        if not logs or not expected:
            continue
        mean, spread = expected
        off = sum(logs) / len(logs) - mean
        allowed = sigmas * spread / sqrt(len(logs))
        if abs(off) > allowed:
            wrong.append(f"{node.path} ({node.type}) {which}: off by {off:+.3f}, allowed {allowed:.3f}")
    return wrong
