"""The rule for tables that vectors are looked up in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.core.rng import Key
from modelforge.inits import Matrix
from tests.inits.catalogue.embedding import TABLE


@pytest.mark.parametrize(
    ("fields", "tied", "std"),
    [
        ({}, False, 1.0),
        ({}, True, 1 / 8),
        ({"gain": 0.5}, True, 1 / 16),
        ({"tied": True}, False, 1 / 8),
        ({"tied": False}, True, 1.0),
        ({"tied": True}, None, 1 / 8),
    ],
    ids=str,
)
def test_the_std(fields: dict[str, Any], tied: bool | None, std: float):
    fill = inits.create({"scheme": "embedding"} | fields).resolve(replace(TABLE, tied=tied))
    assert fill.std == pytest.approx(std)
    assert fill.numbers == {"gain": fields.get("gain", 1.0), "tied": std != 1.0, "width": 64}


def test_logits_of_a_tied_table_have_unit_variance():
    block = Matrix(shape=(4000, 256), fan_in=1, fan_out=256, role="embedding", tied=True)
    table = torch.empty(block.shape)
    inits.create({"scheme": "embedding"}).resolve(block).draw_(table, Key(0))
    states = torch.randn(50, 256, generator=Key(1).generator())
    # 200,000 logits, of which those of one state have its norm in common.
    assert (states @ table.T).var().item() == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize(
    ("block", "reason", "hint"),
    [
        (
            replace(TABLE, tied=None),
            "`embedding` treats a table that is the output head apart, and it is not known where this is used",
            "say so: `tied: true` or `tied: false`",
        ),
        (
            replace(TABLE, role="weight"),
            "`embedding` is for tables that are looked up, but this is a weight that multiplies",
            "move it below `embedding:`",
        ),
        (
            replace(TABLE, shape=(64,)),
            "`embedding` needs a matrix, but this is a vector of 64: it holds no vectors",
            "give it a scheme for vectors, as in `bias: {scheme: zeros}`",
        ),
    ],
)
def test_refusals(block: Matrix, reason: str, hint: str):
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": "embedding"}).resolve(block)
    assert (caught.value.reason, caught.value.hint) == (reason, hint)
