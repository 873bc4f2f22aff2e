"""Gates: biases by the gate's name, as totals of the two biases that torch adds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.core.rng import Key
from modelforge.inits import Matrix

LSTM, GRU = "ifgo", "rzn"


def block(name: str, addend: int = 0, shape: tuple[int, ...] = (5,)) -> Matrix:
    return Matrix(shape=shape, fan_in=3, fan_out=5, name=name, addend=addend)


def gates(**fields: Any):
    return inits.create({"scheme": "gates", **fields})


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (LSTM, {"input": -1.0, "forget": 1.0, "cell": 0.25, "output": 2.0}),
        (LSTM, {"forget": 1.0}),
        (LSTM, {}),
        (GRU, {"reset": -1.0, "update": 1.0, "new": 0.5}),
        (GRU, {}),
    ],
)
def test_the_two_biases_add_up(names: str, fields: dict[str, float]):
    scheme = gates(**fields)
    for name, field in zip(
        names, ("input", "forget", "cell", "output") if names == LSTM else ("reset", "update", "new"), strict=True
    ):
        total = torch.zeros(5)
        for addend in (0, 1):
            part = torch.empty(5)
            fill = scheme.resolve(block(name, addend))
            fill.draw_(part, Key(0))
            assert fill.promise.exact_std
            assert (fill.mean, fill.std) == (part[0].item(), 0.0)
            assert fill.numbers == {"gate": field, "total": fields.get(field, 0.0)}
            total += part
        assert total.tolist() == [fields.get(field, 0.0)] * 5


def test_torch_s_own_lstm_forgets_as_told():
    lstm = torch.nn.LSTM(3, 5)
    for addend, bias in enumerate((lstm.get_parameter("bias_ih_l0"), lstm.get_parameter("bias_hh_l0"))):
        for name, rows in zip(LSTM, bias.detach().split(5), strict=True):
            gates(forget=20.0, input=-20.0).resolve(block(name, addend)).draw_(rows, Key(0))
    state = torch.randn(1, 1, 5, generator=Key(0).generator())
    _, (_, after) = lstm(torch.zeros(1, 1, 3), (torch.zeros(1, 1, 5), state))
    assert torch.allclose(after, state, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_built_lstm_s_forget_biases_add_up_to_exactly_one(dtype: torch.dtype):
    lstm = {"type": "LSTM", "hidden_size": 5, "num_layers": 2, "bidirectional": True}
    spec = mf.parse(
        {"input": {"shape": [4, 3]}, "layers": {"rnn": lstm}},
        init={"scheme": "xavier", "bias": {"scheme": "gates", "forget": 1.0}},
    )
    model = mf.build(spec, dtype=dtype)
    assert model.ledger.ok
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        total = model.get_parameter(f"rnn.bias_ih_{suffix}") + model.get_parameter(f"rnn.bias_hh_{suffix}")
        assert total.tolist() == [0.0] * 5 + [1.0] * 5 + [0.0] * 10


@pytest.mark.parametrize(
    ("asked", "fields", "reason", "hint"),
    [
        (
            block("z"),
            {"forget": 1.0},
            "this layer has no `forget` gate",
            "its gates are `reset`, `update`, `new`",
        ),
        (
            block("f"),
            {"forget": 1.0, "update": 1.0},
            "this layer has no `update` gate",
            "its gates are `input`, `forget`, `cell`, `output`",
        ),
        (
            block(""),
            {"forget": 1.0},
            "`gates` fills the biases of LSTM and GRU, but this parameter has no gates",
            "use `constant`",
        ),
        (
            block("q"),
            {},
            "`gates` fills the biases of LSTM and GRU, but this parameter has no gates",
            "use `constant`",
        ),
        (
            block("f", shape=(5, 3)),
            {"forget": 1.0},
            "`gates` fills biases, but this is a weight",
            "move it below `bias:`",
        ),
    ],
)
def test_what_has_no_such_gate_is_refused(asked: Matrix, fields: dict[str, float], reason: str, hint: str):
    with pytest.raises(Refusal) as caught:
        gates(**fields).resolve(asked)
    assert (caught.value.reason, caught.value.hint) == (reason, hint)
