"""Init blocks that apply to nothing are found in a time that grows with their number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import modelforge as mf
from modelforge.planning.plan import plan
from modelforge.planning.study import Studies
from tests.steps import steps

STUDIES = Studies()
ZEROS = {"scheme": "zeros"}
IDLE: dict[str, tuple[Callable[[int], Any], Callable[[int], Any]]] = {
    "a role of each layer": (lambda size: "xavier", lambda i: {"embedding": ZEROS}),
    "a parameter of each layer": (lambda size: "xavier", lambda i: {"params": {"none": ZEROS}}),
    "a type in each layer": (lambda size: "xavier", lambda i: {"types": {"Conv2d": ZEROS}}),
    "types": (lambda size: {"scheme": "xavier", "types": {f"T{i}": ZEROS for i in range(size)}}, lambda i: None),
    "globs": (lambda size: {"scheme": "xavier", "params": {f"x{i}.*": ZEROS for i in range(size)}}, lambda i: None),
}


def spec(size: int, init: Any, own: Callable[[int], Any]) -> mf.ModelSpec:
    layers = {f"l{i}": {"type": "Linear", "out_features": 4, "init": own(i)} for i in range(size)}
    return mf.parse({"input": {"shape": [4]}, "layers": layers}, init=init)


@pytest.mark.parametrize("kind", IDLE)
def test_the_steps_grow_with_the_number_of_blocks(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("modelforge.planning.unmatched.MAX_PROBLEMS", 0)  # no hints: there are at most 300
    init, own = IDLE[kind]

    def run(size: int) -> None:
        with pytest.raises(mf.ForgeError, match="MF023"):
            plan(spec(size, init(size), own), STUDIES)

    run(2)
    few, more, most = (steps(lambda size=size: run(size)) for size in (8, 24, 56))
    assert most - more < 2.3 * (more - few)  # twice where they grow with the number, five times with its square


def test_too_many_comparisons_are_one_problem(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("modelforge.planning.precedence.MAX_COMPARISONS", 100)
    globs = {f"*{index}*": ZEROS for index in range(20)}
    with pytest.raises(mf.ForgeError) as caught:
        plan(spec(10, {"scheme": "xavier", "params": globs}, lambda i: None), STUDIES)
    [problem] = caught.value.problems
    assert (problem.code, problem.key) == ("MF060", "init.params")
