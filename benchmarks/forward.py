"""The forward pass of every zoo model against the same layers called by hand, as ratios of times.

    python benchmarks/forward.py

"By hand" is an `nn.Module` whose `forward` has one line a layer: `v_2 = self.fc1(v_1)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from timing import ratio, times
from torch import nn

import modelforge as mf
from modelforge.config import options
from modelforge.plan import LayerPlan, Plan
from modelforge.values import first

BATCH_SIZE = 64
REPEATS = 5


def main() -> None:
    """Prints one line a model."""
    for name in options(None, "model"):
        plan = mf.plan(mf.load(overrides=[f"model={name}"]))
        model = mf.build(plan).eval()
        by_hand = write_by_hand(plan, model)
        inputs = [torch.randn(BATCH_SIZE, *value.shape[1:]) for value in plan.inputs.values()]
        with torch.no_grad():
            assert torch.equal(model(*inputs), by_hand(*inputs))
            runs = {"built": partial(_repeat, model, inputs), "by hand": partial(_repeat, by_hand, inputs)}
            taken = times(runs, rounds=101)
        extra = 100 * (ratio(taken, "built", "by hand") - 1)
        print(f"{name:<14} {extra:+6.1f} %   {min(taken['built']) / REPEATS * 1e3:8.3f} ms")


def _repeat(function: Callable[..., Any], inputs: list[torch.Tensor]) -> None:
    for _ in range(REPEATS):
        function(*inputs)


def write_by_hand(plan: Plan, model: nn.Module) -> nn.Module:
    """A module with one attribute and one line of `forward` a layer, as one would write it."""
    lines: list[str] = []
    layers: dict[str, nn.Module] = {}
    result = _write(plan.root, {name: name for name in plan.inputs}, model, lines, layers)
    result += "".join(f"[{index}]" for index in first(plan.root.children[-1].output))
    body = "\n".join(f"    {line}" for line in [*_forgetting(lines, result), f"return {result}"])
    namespace: dict[str, Any] = {}
    exec(f"def forward(self, {', '.join(plan.inputs)}):\n{body}", namespace)
    by_hand = type("ByHand", (nn.Module,), namespace)()
    for name, layer in layers.items():
        by_hand.add_module(name, layer)
    return by_hand


def _forgetting(lines: list[str], result: str) -> list[str]:
    """The lines with each variable deleted after its last use, as writing `x = ...` over and over does."""
    last = {word: index for index, line in enumerate(lines) for word in re.findall(r"v_\w+", line)}
    dead = [
        [name for name, index in last.items() if index == line and name not in result] for line in range(len(lines))
    ]
    return [f"{line}; del {', '.join(names)}" if names else line for line, names in zip(lines, dead, strict=True)]


def _write(
    layer: LayerPlan, scope: dict[str, str], model: nn.Module, lines: list[str], layers: dict[str, nn.Module]
) -> str:
    for child in layer.children:
        reads = [scope[read.source] + "".join(f"[{index}]" for index in read.path) for read in child.reads]
        if child.children:
            scope[child.name] = _write(child, {"input": reads[0]}, model, lines, layers)
            continue
        name = child.path.replace(".", "_")
        layers[name] = model.get_submodule(child.path)
        lines.append(f"v_{name} = self.{name}({', '.join(reads)})")
        scope[child.name] = f"v_{name}"
    return scope[layer.children[-1].name]


if __name__ == "__main__":
    main()
