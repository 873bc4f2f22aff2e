"""Init blocks as declared: a scheme with its fields, and blocks for roles, types and parameters."""

from __future__ import annotations

from typing import Any

import pytest

from modelforge.core.errors import ForgeError
from modelforge.language.parse import parse_init
from tests.language.test_parse import told


def test_parse_init_stands_alone():
    block = parse_init({"scheme": "he", "mode": "fan_out", "bias": {"scheme": "ones"}, "params": {"x": "zeros"}})
    assert (block.scheme, dict(block.fields), list(block.roles), list(block.params)) == (
        "he",
        {"mode": "fan_out"},
        ["bias"],
        ["x"],
    )
    assert parse_init(block.model_dump()) == block
    assert told(lambda: parse_init({"scheme": "hee"})) == [("MF020", "init.scheme")]


@pytest.mark.parametrize(
    ("raw", "hint"),
    [
        ({"scheme": "kaiming", "nonlinearity": "relu"}, "here it is called `gain`"),
        ({"scheme": "uniform", "low": -1.0, "high": 1.0, "a": 0.1}, "here it is called `low`"),
        ({"scheme": "constant", "value": 1.0, "val": 1.0}, "here it is called `value`"),
        ({"scheme": "xavier", "gain": "1.5"}, "write the number: `gain: 1.5`"),
        ({"scheme": "xavier", "gain": "sqrt(2)"}, "write the number: `gain: 1.41421`"),
        ({"scheme": "xavier", "gain": "rleu"}, "did you mean `ReLU` or `RReLU`?"),
        ({"scheme": "xavier", "bias": 0.1}, "write `bias: {scheme: constant, value: 0.1}`"),
        ({"scheme": "xavier", "bias": True}, "write `bias: {scheme: ...}`"),
        (0.5, "write `init: {scheme: constant, value: 0.5}`"),
    ],
    ids=str,
)
def test_what_users_of_torch_write_has_its_way_out(raw: Any, hint: str):
    with pytest.raises(ForgeError) as caught:
        parse_init(raw)
    (problem,) = caught.value.problems
    assert problem.hint == hint
