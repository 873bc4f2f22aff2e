"""The forward pass of every zoo model against the same layers called by hand, as ratios of times.

    python benchmarks/forward.py

"By hand" is a straight-line function written from the plan: one call a layer, local variables in between.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from timing import best_times

import modelforge as mf
from modelforge.config import options
from modelforge.plan import LayerPlan, Plan
from modelforge.values import first

BATCH_SIZE = 64
REPEATS = 20


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
            times = best_times(runs, rounds=30)
        extra = 100 * (times["built"] / times["by hand"] - 1)
        print(f"{name:<14} {extra:+6.1f} %   {times['built'] / REPEATS * 1e3:8.3f} ms")


def _repeat(function: Callable[..., Any], inputs: list[torch.Tensor]) -> None:
    for _ in range(REPEATS):
        function(*inputs)


def write_by_hand(plan: Plan, model: torch.nn.Module) -> Callable[..., Any]:
    """A function with one line a layer, the modules bound to local names."""
    lines: list[str] = []
    modules: dict[str, Any] = {}
    result = _write(plan.root, {name: name for name in plan.inputs}, model, lines, modules)
    result += "".join(f"[{index}]" for index in first(plan.root.children[-1].output))
    arguments = ", ".join([*plan.inputs, *(f"{name}={name}" for name in modules)])
    source = f"def by_hand({arguments}):\n" + "\n".join(f"    {line}" for line in [*lines, f"return {result}"])
    namespace = dict(modules)
    exec(source, namespace)
    return namespace["by_hand"]


def _write(layer: LayerPlan, scope: dict[str, str], model: Any, lines: list[str], modules: dict[str, Any]) -> str:
    for child in layer.children:
        reads = [scope[read.source] + "".join(f"[{index}]" for index in read.path) for read in child.reads]
        if child.children:
            scope[child.name] = _write(child, {"input": reads[0]}, model, lines, modules)
            continue
        variable = "v_" + child.path.replace(".", "_")
        modules["m" + variable] = model.get_submodule(child.path)
        lines.append(f"{variable} = m{variable}({', '.join(reads)})")
        scope[child.name] = variable
    return scope[layer.children[-1].name]


if __name__ == "__main__":
    main()
