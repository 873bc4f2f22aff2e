"""Schemes that do not do what they promise: edges of each rule."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf
from modelforge.linting.subject import Training


def codes(init: Any, layers: dict[str, Any] | None = None, training: Training | None = None) -> set[str]:
    dense = {name: {"type": "Linear", "out_features": 64} for name in ("up", "mid", "head")}
    plan = mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers or dense}, init=init))
    return {problem.code for problem in mf.lint(plan, training, rules=["MW132", "MW133", "MW135", "MW136"])}


@pytest.mark.parametrize(("bound", "found"), [(0.08, set()), (0.11, {"MW132"})])
def test_bounds_in_standard_deviations(bound: float, found: set[str]):
    assert codes({"scheme": "torch.trunc_normal", "std": 0.02, "a": -bound, "b": bound}) == found


@pytest.mark.parametrize(
    "init", [{"scheme": "normal", "std": 0.1}, {"scheme": "truncated_normal", "std": 0.1}, "zeros"]
)
def test_other_laws_cut_nothing_or_something(init: Any):
    assert codes(init) == set()


@pytest.mark.parametrize(
    ("sparsity", "axis", "found"),
    [
        (0.9, "fan_in", set()),
        (0.999, "fan_in", {"MW133"}),
        (0.8, "fan_out", set()),
        (0.95, "fan_out", {"MW133"}),
    ],
)
def test_units_that_sparsity_empties(sparsity: float, axis: str, found: set[str]):
    assert codes({"scheme": "sparse", "sparsity": sparsity, "axis": axis}) == found


@pytest.mark.parametrize(("depth", "found"), [(1, {"MW135"}), (2, set())])
def test_a_depth_of_one(depth: int, found: set[str]):
    block = {"type": "Residual", "layers": {"norm": "LayerNorm", "dense": {"type": "Linear", "out_features": 64}}}
    head = {"type": "Linear", "out_features": 2}
    assert codes("gpt2", {"blocks": {"type": "Repeat", "times": depth, "layers": {"b": block}}, "head": head}) == found


MUP = {"scheme": "mup", "width": 64, "base_width": 16}


@pytest.mark.parametrize(
    ("init", "training", "found"),
    [
        (MUP, None, set()),
        (MUP, Training("Adam", by_width=True), set()),
        (MUP, Training("Adam", by_width=False), {"MW136"}),
        ({**MUP, "width": 16}, Training("Adam", by_width=False), set()),
        ("kaiming", Training("Adam", by_width=False), set()),
    ],
)
def test_learning_rates_that_are_not_followed(init: Any, training: Training | None, found: set[str]):
    assert codes(init, training=training) == found
