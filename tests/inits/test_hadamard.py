"""ZerO: identities and Hadamard matrices, drawn by nobody."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.linalg import hadamard

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.core.rng import Key
from modelforge.inits import Matrix


def fill(*shape: int, input_first: bool = False) -> torch.Tensor:
    out = torch.full(shape, torch.nan)
    block = Matrix(shape, 1, 1, input_first=input_first)
    inits.create({"scheme": "zero"}).resolve(block).draw_(out, Key(0))
    return out


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (1, 5), (1, 1)])
def test_what_does_not_widen_is_a_partial_identity(shape: tuple[int, int]):
    assert torch.equal(fill(*shape), torch.eye(*shape))


@pytest.mark.parametrize(("outputs", "inputs"), [(2, 1), (4, 3), (8, 1), (5, 3), (9, 8), (100, 37), (64, 63)])
def test_what_widens_is_cut_from_a_hadamard_matrix(outputs: int, inputs: int):
    side = 2 ** math.ceil(math.log2(outputs))
    expected = torch.tensor(hadamard(side)[:outputs, :inputs]) / math.sqrt(side)
    assert torch.equal(fill(outputs, inputs), expected.float())


def test_a_power_of_two_is_reached_by_an_isometry():
    matrix = fill(64, 40).double()
    assert (matrix.T @ matrix - torch.eye(40)).abs().max() < 1e-6


def test_kernels_have_it_at_their_centre():
    kernel = fill(6, 4, 3, 4)
    assert torch.equal(kernel[:, :, 1, 2], fill(6, 4))
    assert kernel.count_nonzero() == 24
    assert torch.equal(fill(4, 6, 3, 4, input_first=True), kernel.transpose(0, 1))


@pytest.mark.parametrize("rows", range(1, 18))
def test_mean_and_std_are_counted_right_for_every_shape(rows: int):
    for columns in range(1, 18):
        promised = inits.create({"scheme": "zero"}).resolve(Matrix((rows, columns, 2), 1, 1))
        values = fill(rows, columns, 2).double()
        assert promised.promise.deterministic
        assert promised.promise.exact_std
        assert promised.mean == pytest.approx(values.mean().item(), abs=1e-7), (rows, columns)
        assert promised.std == pytest.approx(values.std(correction=0).item(), abs=1e-7), (rows, columns)


def test_a_built_network_is_the_same_for_every_seed():
    layers = {
        "conv": {"type": "Conv2d", "out_channels": 12, "kernel_size": 3, "padding": 1},
        "flat": "Flatten",
        "narrow": {"type": "Linear", "out_features": 20},
        "wide": {"type": "Linear", "out_features": 33},
    }
    spec = mf.parse({"input": {"shape": [3, 5, 5]}, "layers": layers}, init="zero")
    one, other = mf.build(spec, seed=1), mf.build(spec, seed=2)
    assert one.ledger.ok
    for first, second in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second)


def test_vectors_are_refused():
    with pytest.raises(Refusal, match="`zero` needs a matrix, but this is a vector of 3: it has no rows and columns"):
        inits.create({"scheme": "zero"}).resolve(Matrix((3,), 1, 1))
