"""The forward pass of every zoo model against the same layers called by hand, as ratios of times.

    python benchmarks/forward.py

"By hand" is an `nn.Module` for the model and for each combinator, whose `forward` has one line a layer.
"""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from timing import ratio, times
from torch import nn

import modelforge as mf
from modelforge.config.folder import options
from modelforge.core.tensors import TensorValue, first
from modelforge.planning.plan import LayerPlan

BATCH_SIZE = 64
REPEATS = 5
SECONDS = 5.0
"""About how long each model is run, by either."""


def main() -> None:
    """Prints one line a model."""
    for name in options(None, "model"):
        plan = mf.plan(mf.load(overrides=[f"model={name}"]))
        model = mf.build(plan).eval()
        by_hand = write_by_hand(plan.root, list(plan.inputs), model, first(plan.output)).eval()
        inputs = [_input(value) for value in plan.inputs.values()]
        gc.collect()
        gc.freeze()  # what lives on need not be searched between the runs
        with torch.no_grad():
            assert torch.equal(model(*inputs), by_hand(*inputs))
            runs = {"built": partial(_repeat, model, inputs), "by hand": partial(_repeat, by_hand, inputs)}
            start = time.perf_counter()
            runs["built"]()
            taken = times(runs, rounds=min(101, 1 + int(SECONDS / (time.perf_counter() - start)) // 2 * 2))
        extra = 100 * (ratio(taken, "built", "by hand") - 1)
        print(f"{name:<14} {extra:+6.1f} %   {min(taken['built']) / REPEATS * 1e3:8.3f} ms")


def _input(value: TensorValue) -> torch.Tensor:
    """A batch that any model takes: numbers, or tokens that every vocabulary has."""
    shape = (BATCH_SIZE, *value.shape[1:])
    return torch.randn(shape) if value.dtype == "float32" else torch.randint(2, shape)


def _repeat(function: Callable[..., Any], inputs: list[torch.Tensor]) -> None:
    for _ in range(REPEATS):
        function(*inputs)


def write_by_hand(layer: LayerPlan, inputs: Sequence[str], model: nn.Module, path: Sequence[int] = ()) -> nn.Module:
    """A module for a combinator as one would write it: an attribute and a line of `forward` for each layer in it."""
    by_hand = nn.Module()
    lines: list[str] = []
    names = dict(zip((*inputs, *layer.captured), map("v_{}".format, (*inputs, *layer.captured)), strict=True))
    signature = ", ".join(["self", *names.values()])
    for child in layer.children:
        attribute = f"layer_{child.name}"
        inner = model.get_submodule(child.path)
        by_hand.add_module(attribute, write_by_hand(child, ["input"], model) if child.children else inner)
        reads = [names[read.source] + "".join(f"[{index}]" for index in read.path) for read in child.reads]
        names[child.name] = f"v_{child.name}"
        lines.append(f"{names[child.name]} = self.{attribute}({', '.join(reads)})")
    result = names[layer.children[-1].name] + "".join(f"[{index}]" for index in path)
    body = "\n".join(f"    {line}" for line in [*_forgetting(lines, result), f"return {result}"])
    namespace: dict[str, Any] = {}
    exec(f"def forward({signature}):\n{body}", namespace)
    by_hand.__class__ = type("ByHand", (nn.Module,), namespace)
    return by_hand


def _forgetting(lines: list[str], result: str) -> list[str]:
    """The lines with each variable deleted after its last use, as writing `x = ...` over and over does."""
    last = {word: index for index, line in enumerate(lines) for word in re.findall(r"\bv_\w+", line)}
    dead = [
        [name for name, index in last.items() if index == line and name not in result] for line in range(len(lines))
    ]
    return [f"{line}; del {', '.join(names)}" if names else line for line, names in zip(lines, dead, strict=True)]


if __name__ == "__main__":
    main()
