"""Orthogonal: isometries for every kind of block, uniformly distributed over all of them."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

import modelforge as mf
from modelforge import inits
from modelforge.core.rng import Key
from modelforge.inits import Matrix

MATRICES = {
    "square": Matrix(shape=(64, 64), fan_in=64, fan_out=64),
    "wide": Matrix(shape=(30, 200), fan_in=200, fan_out=30),
    "tall": Matrix(shape=(200, 30), fan_in=30, fan_out=200),
    "one row": Matrix(shape=(1, 7), fan_in=7, fan_out=1),
    "one column": Matrix(shape=(7, 1), fan_in=1, fan_out=7),
    "one number": Matrix(shape=(1, 1), fan_in=1, fan_out=1),
    "convolution": Matrix(shape=(16, 8, 3, 3), fan_in=72, fan_out=144),
    "tall convolution": Matrix(shape=(64, 2, 3, 3), fan_in=18, fan_out=576),
    "transposed convolution": Matrix(shape=(8, 16, 3, 3), fan_in=72, fan_out=144, input_first=True),
    "large": Matrix(shape=(512, 512), fan_in=512, fan_out=512),
}


def draw(block: Matrix, method: str, key: int = 0) -> torch.Tensor:
    fill = inits.create({"scheme": "orthogonal", "method": method}).resolve(block)
    out = torch.full(block.shape, torch.nan)
    fill.draw_(out, Key(0, "orthogonal", key))
    return out


@pytest.mark.parametrize("method", ["qr", "svd"])
@pytest.mark.parametrize("name", MATRICES)
def test_rows_or_columns_are_orthonormal(name: str, method: str):
    block = MATRICES[name]
    values = draw(block, method).double()
    matrix = (values.transpose(0, 1) if block.input_first else values).flatten(1)
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    assert (gram - torch.eye(len(gram))).abs().max() <= 1e-6


@pytest.mark.parametrize("method", ["qr", "svd"])
def test_the_square_matrices_are_haar_distributed(method: str):
    # For Haar matrices of O(n): E tr Q = 0, Var tr Q = 1, and every entry is a coordinate of a random unit vector.
    num_draws, n = 20_000, 4
    fill = inits.create({"scheme": "orthogonal", "method": method}).resolve(Matrix(shape=(n, n), fan_in=n, fan_out=n))
    draws = torch.empty(num_draws, n, n)
    for i, out in enumerate(draws):
        fill.draw_(out, Key(0, "haar", i))
    traces = draws.diagonal(dim1=1, dim2=2).sum(1).double()
    assert abs(traces.mean().item()) < 4 / math.sqrt(num_draws)
    assert traces.var().item() == pytest.approx(1, abs=4 * math.sqrt(2 / num_draws))
    assert draws.double().mean(0).abs().max() < 4 / math.sqrt(n * num_draws)
    coordinate = stats.beta(1 / 2, (n - 1) / 2)
    for i in range(n):
        assert stats.kstest(draws[:, i, n - 1 - i].double().square().numpy(), coordinate.cdf).pvalue > 1e-3
    signs = torch.linalg.det(draws).sign().double()
    assert abs(signs.mean().item()) < 4 / math.sqrt(num_draws), "reflections are as likely as rotations"
    kurtosis = (draws.double().pow(4).mean() * n**2).item()
    assert kurtosis == pytest.approx(fill.promise.kurtosis, rel=0.02)


def test_gain_is_a_factor():
    block = MATRICES["wide"]
    doubled = inits.create({"scheme": "orthogonal", "gain": 2.0}).resolve(block)
    out = torch.empty(block.shape)
    doubled.draw_(out, Key(0, "orthogonal", 0))
    assert torch.equal(out, 2 * draw(block, "qr"))


def test_what_widens_keeps_the_norm_or_the_coordinates():
    block, x = (
        Matrix(shape=(512, 256), fan_in=256, fan_out=512),
        torch.randn(256, generator=Key(1).generator()).double(),
    )
    for preserve, norm, coordinate in (("norm", 1, 0.5), ("coordinate", 2, 1)):
        out = torch.empty(block.shape)
        inits.create({"scheme": "orthogonal", "preserve": preserve}).resolve(block).draw_(out, Key(0))
        y = out.double() @ x
        assert (y.square().sum() / x.square().sum()).item() == pytest.approx(norm, rel=1e-6)
        assert (y.square().mean() / x.square().mean()).item() == pytest.approx(coordinate, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "stretch"), [("wide", 1.0), ("square", 1.0), ("tall convolution", math.sqrt(64 / 18))]
)
def test_the_ledger_shows_what_keeps_the_coordinates(name: str, stretch: float):
    fill = inits.create({"scheme": "orthogonal", "preserve": "coordinate", "gain": 3}).resolve(MATRICES[name])
    assert {key: fill.numbers[key] for key in ("gain", "preserve", "stretch")} == {
        "gain": 3.0,
        "preserve": "coordinate",
        "stretch": pytest.approx(stretch),
    }
    rows, columns = fill.numbers["rows"], fill.numbers["columns"]
    assert fill.std == pytest.approx(3 / math.sqrt(columns)), (rows, columns)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_float32_rounded(dtype: torch.dtype):
    spec = mf.parse(
        {"input": {"shape": [24]}, "layers": {"lin": {"type": "Linear", "out_features": 48}}}, init="orthogonal"
    )
    half, single = mf.build(spec, dtype=dtype), mf.build(spec)
    assert half.ledger.ok
    assert torch.equal(half.get_parameter("lin.weight"), single.get_parameter("lin.weight").to(dtype))


def test_methods_differ_in_values_and_not_in_targets():
    block = MATRICES["square"]
    assert not torch.allclose(draw(block, "qr"), draw(block, "svd"), atol=1e-3)


@pytest.mark.parametrize("method", ["qr", "svd"])
def test_the_number_of_threads_changes_no_bit_and_stays_as_it_was(method: str):
    block = Matrix(shape=(1024, 1024) if method == "qr" else (200, 200), fan_in=1, fan_out=1)
    before = torch.get_num_threads()
    draws: list[torch.Tensor] = []
    try:
        for num_threads in (1, 2):
            torch.set_num_threads(num_threads)
            draws.append(draw(block, method))
            assert torch.get_num_threads() == num_threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*draws)
