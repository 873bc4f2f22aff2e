"""What zero padding takes from the signal on small maps."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf

HEAD = {"type": "Linear", "out_features": 10}


def found(layers: dict[str, Any], size: int) -> tuple[mf.Problem, ...]:
    model = {"input": {"shape": [3, size, size]}, "layers": layers}
    return mf.lint(mf.parse(model, init="kaiming"), rules=["MW134"])


@pytest.mark.parametrize(("size", "bad"), [(2, True), (32, False)])
def test_small_maps_lose_energy_at_their_borders(size: int, bad: bool):
    conv = {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1}
    layers: dict[str, Any] = {"stack": stack(6), "flat": "Flatten"}
    assert bool(found({**layers, "head": HEAD}, size)) == bad
    whole = {**conv, "padding_mode": "replicate"}
    layers["stack"]["layers"]["conv"] = whole
    assert not found({**layers, "head": HEAD}, size)


def stack(times: int) -> dict[str, Any]:
    conv = {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1}
    return {"type": "Repeat", "times": times, "layers": {"conv": conv, "act": "ReLU"}}


@pytest.mark.parametrize(
    ("first", "second", "merge", "drained"),
    [
        (2, 2, "Add", 0),  # each way has 2, which leave about a fifth; their product is not on any way
        (2, 2, "Concat", 0),
        (6, 1, "Add", 0),
        (6, 1, "Concat", 6),
        (6, 6, "Add", 12),
        (6, 6, "Concat", 12),
    ],
)
def test_ways_that_are_parallel_do_not_multiply(first: int, second: int, merge: str, drained: int):
    branches = {name: {"type": "Sequential", "layers": {"s": stack(n)}} for name, n in (("a", first), ("b", second))}
    layers = {"two": {"type": "Parallel", "branches": branches, "merge": merge}, "flat": "Flatten", "head": HEAD}
    problems = found(layers, 2)
    assert sum(problem.num for problem in problems) == drained


def test_padding_that_takes_all_is_no_division_by_zero():
    conv = {"type": "Conv2d", "out_channels": 8, "kernel_size": 2, "dilation": 4, "padding": 2}
    conv |= {"init": {"bias": {"scheme": "constant", "value": 1.0}}}
    both = {"type": "Add", "inputs": ["first", "second"]}
    layers = {"first": conv, "second": {**conv, "inputs": ["input"]}, "both": both}
    [problem] = found({**layers, "flat": "Flatten", "head": HEAD}, 1)
    assert problem.message.startswith("zero padding of 2 convolutions on small maps leaves 0 % of the energy")
