"""Biases, forget gates and gains of recurrent layers."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf


def codes(kind: str, init: Any, steps: int = 100, **arguments: Any) -> set[str]:
    layers = {"rnn": {"type": kind, "hidden_size": 8, **arguments}}
    plan = mf.plan(mf.parse({"input": {"shape": [steps, 4]}, "layers": layers}, init=init))
    return {problem.code for problem in mf.lint(plan, rules=["MW129", "MW130", "MW131"])}


def orthogonal(**more: Any) -> dict[str, Any]:
    return {"scheme": "orthogonal", **more}


@pytest.mark.parametrize(
    ("kind", "init", "steps", "found"),
    [
        ("LSTM", orthogonal(), 100, {"MW130"}),
        ("LSTM", orthogonal(), 10, set()),
        ("LSTM", orthogonal(bias={"scheme": "gates", "forget": 1.0}), 100, set()),
        ("LSTM", orthogonal(bias={"scheme": "constant", "value": 0.5}), 100, {"MW129"}),
        ("LSTM", orthogonal(bias={"scheme": "constant", "value": -1.0}), 100, {"MW129", "MW130"}),
        ("LSTM", orthogonal(bias={"scheme": "chrono", "max_time": 100}), 100, set()),
        ("GRU", orthogonal(), 100, set()),
        ("GRU", orthogonal(bias="ones"), 100, {"MW129"}),
        ("RNN", orthogonal(), 100, set()),
        ("RNN", orthogonal(recurrent={"scheme": "orthogonal", "gain": 1.5}), 5, set()),  # 1.5^5 = 7.6
        ("RNN", orthogonal(recurrent={"scheme": "orthogonal", "gain": 1.5}), 6, {"MW131"}),
        ("RNN", orthogonal(recurrent="irnn"), 100, set()),
        ("RNN", orthogonal(recurrent={"scheme": "irnn", "alpha": 1.5}), 5, set()),
        ("RNN", orthogonal(recurrent={"scheme": "irnn", "alpha": 1.5}), 6, {"MW131"}),
        ("GRU", orthogonal(recurrent={"scheme": "eye", "gain": 1.5}), 6, {"MW131"}),
        ("RNN", {"scheme": "orthogonal", "gain": 0.9}, 100, set()),
    ],
)
def test_gates_and_steps_decide(kind: str, init: Any, steps: int, found: set[str]):
    assert codes(kind, init, steps) == found


def test_every_layer_of_a_stack_counts():
    layers = {"rnn": {"type": "LSTM", "hidden_size": 8, "num_layers": 2, "bidirectional": True}}
    plan = mf.plan(mf.parse({"input": {"shape": [64, 4]}, "layers": layers}, init="orthogonal"))
    [problem] = mf.lint(plan, rules=["MW130"])
    assert problem.num == 4


def test_steps_beyond_what_a_float_holds():
    plan = mf.plan(
        mf.parse(
            {"input": {"shape": [2000, 4]}, "layers": {"rnn": {"type": "RNN", "hidden_size": 8}}},
            init={"scheme": "orthogonal", "gain": 2.0},
        )
    )
    [problem] = mf.lint(plan, rules=["MW131"])
    assert "2000 steps multiply by 1.1e+602" in problem.message


@pytest.mark.parametrize(
    ("kind", "steps", "found"), [("LSTM", 100, {"MW130"}), ("LSTM", 10, set()), ("GRU", 100, set())]
)
def test_gates_without_biases_are_those_with_biases_of_zero(kind: str, steps: int, found: set[str]):
    assert codes(kind, orthogonal(), steps, bias=False) == found
