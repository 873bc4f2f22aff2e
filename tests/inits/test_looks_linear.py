"""Looks linear: mirrored ReLU networks that start as a linear isometry."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.core.rng import Key
from modelforge.inits import Matrix


def linear(outputs: int, **init: Any) -> dict[str, Any]:
    return {"type": "Linear", "out_features": outputs, "init": init}


def test_layers_with_relu_between_are_exactly_one_linear_isometry():
    layers = {"first": linear(64, part="first"), "relu0": "ReLU"}
    layers |= {key: value for i in range(1, 31) for key, value in ((f"l{i}", linear(64)), (f"relu{i}", "ReLU"))}
    layers |= {"last": linear(32, part="last")}
    model = mf.build(mf.parse({"input": {"shape": [32]}, "layers": layers}, init={"scheme": "looks_linear"})).double()
    assert model.ledger.ok
    with torch.no_grad():
        matrix = model(torch.eye(32, dtype=torch.float64)).T
        x = torch.randn(100, 32, dtype=torch.float64, generator=Key(1).generator())
        assert torch.allclose(model(x), x @ matrix.T, rtol=0, atol=1e-12)
    assert (torch.linalg.svdvals(matrix) - 1).abs().max() < 1e-5


def test_convolutions_look_linear_too():
    convolution = {"type": "Conv2d", "kernel_size": 3, "padding": 1}
    layers = {
        "first": {**convolution, "out_channels": 12, "init": {"part": "first"}},
        "relu": "ReLU",
        "hidden": {**convolution, "out_channels": 8},
        "relu2": "ReLU",
        "up": {"type": "ConvTranspose2d", "out_channels": 6, "kernel_size": 2, "stride": 2},
        "relu3": "ReLU",
        "flat": "Flatten",
        "last": linear(5, part="last"),
    }
    model = mf.build(mf.parse({"input": {"shape": [3, 6, 6]}, "layers": layers}, init="looks_linear")).double()
    assert model.ledger.ok
    x, y = torch.randn(2, 4, 3, 6, 6, dtype=torch.float64, generator=Key(1).generator())
    with torch.no_grad():
        assert torch.allclose(model(2 * x - y), 2 * model(x) - model(y), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("part", "shape", "half", "copies"),
    [("hidden", (12, 8), (6, 4), 4), ("first", (12, 7), (6, 7), 2), ("last", (3, 8), (3, 4), 2)],
)
def test_the_parts_are_mirrored(part: str, shape: tuple[int, int], half: tuple[int, int], copies: int):
    fill = inits.create({"scheme": "looks_linear", "part": part, "gain": 2.0}).resolve(Matrix(shape, 1, 1))
    out = torch.full(shape, torch.nan)
    fill.draw_(out, Key(0))
    rows, columns = half
    w0 = out[:rows, :columns]
    expected = {"hidden": [[w0, -w0], [-w0, w0]], "first": [[w0], [-w0]], "last": [[w0, -w0]]}[part]
    assert torch.equal(out, torch.cat([torch.cat(row, 1) for row in expected]))
    gram = w0.double().T @ w0.double() if rows >= columns else w0.double() @ w0.double().T
    assert (gram - 4 * torch.eye(min(half))).abs().max() < 1e-5
    assert (fill.mean, fill.std, fill.promise.copies) == (0.0, pytest.approx(2 / math.sqrt(max(half))), copies)
    assert fill.numbers == {"gain": 2.0, "part": part, "rows": rows, "columns": columns}


@pytest.mark.parametrize(
    ("part", "block", "reason", "hint"),
    [
        (
            "hidden",
            Matrix((8, 3), 3, 8),
            "mirrors inputs, so their number must be even, but it is 3",
            "make it even, or say `part: first` if this is the first layer",
        ),
        (
            "hidden",
            Matrix((8, 3, 2), 3, 8, input_first=True),
            "mirrors outputs, so their number must be even, but it is 3",
            "make it even, or say `part: last` if this is the last layer",
        ),
        (
            "first",
            Matrix((7, 3), 3, 7),
            "mirrors outputs, so their number must be even, but it is 7",
            "make it even, or say `part: last` if this is the last layer",
        ),
        (
            "hidden",
            Matrix((8, 8), 8, 8, name="q"),
            "mirrors the halves of a whole layer, but this is its matrix `q`",
            "use `orthogonal`",
        ),
        (
            "last",
            Matrix((8,), 8, 8),
            "needs a matrix, but this is a vector of 8: it has no units to mirror",
            "give it a scheme for vectors, as in `bias: {scheme: zeros}`",
        ),
    ],
)
def test_what_has_no_halves_is_refused(part: str, block: Matrix, reason: str, hint: str):
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": "looks_linear", "part": part}).resolve(block)
    assert (caught.value.reason, caught.value.hint) == (f"`looks_linear` {reason}", hint)
