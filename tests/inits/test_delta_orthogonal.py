"""Delta-orthogonal: an isometry at the centre, so that the whole convolution is one."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.core.rng import Key
from modelforge.inits import Matrix

CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def draw(block: Matrix) -> torch.Tensor:
    out = torch.full(block.shape, torch.nan)
    inits.create({"scheme": "delta_orthogonal"}).resolve(block).draw_(out, Key(0, "delta"))
    return out


def kernel(*shape: int, input_first: bool = False) -> Matrix:
    return Matrix(shape=shape, fan_in=1, fan_out=1, input_first=input_first)


@pytest.mark.parametrize("shape", [(16, 8, 3), (8, 8, 5), (32, 16, 3, 3), (32, 8, 5, 3), (1, 1, 3, 3), (8, 4, 3, 3, 3)])
def test_convolutions_keep_the_norm_of_every_input(shape: tuple[int, ...]):
    weight = draw(kernel(*shape)).double()
    x = torch.randn(4, shape[1], *(9 for _ in shape[2:]), dtype=torch.float64, generator=Key(1).generator())
    padding = [side // 2 for side in reversed(shape[2:]) for _ in range(2)]
    y = CONVOLVE[len(shape) - 2](F.pad(x, padding, mode="circular"), weight)
    assert y.shape[2:] == x.shape[2:]
    assert torch.allclose(y.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(8, 16, 3), (8, 8, 3, 5), (4, 6, 3, 3, 3)])
def test_transposed_convolutions_keep_it_too(shape: tuple[int, ...], stride: int):
    weight = draw(kernel(*shape, input_first=True)).double()
    x = torch.randn(4, shape[0], *(7 for _ in shape[2:]), dtype=torch.float64, generator=Key(1).generator())
    y = TRANSPOSED[len(shape) - 2](x, weight, stride=stride)
    assert torch.allclose(y.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("sides", "centre"), [((3, 3), (1, 1)), ((4, 5), (2, 2)), ((1, 2), (0, 1))])
def test_the_centre_is_that_of_dirac(sides: tuple[int, int], centre: tuple[int, int]):
    weight = draw(kernel(6, 6, *sides))
    dirac = torch.nn.init.dirac_(torch.empty(6, 6, *sides))
    assert torch.equal(weight.ne(0).any(0).any(0), dirac.ne(0).any(0).any(0))
    assert weight[:, :, *centre].count_nonzero() == 36


def test_each_group_is_an_isometry_of_its_own():
    layer = {"type": "Conv2d", "out_channels": 24, "kernel_size": 3, "groups": 3, "bias": False}
    model = mf.build(mf.parse({"input": {"shape": [12, 8, 8]}, "layers": {"conv": layer}}, init="delta_orthogonal"))
    assert model.ledger.ok
    assert model.ledger["conv.weight"].target_std == pytest.approx(1 / math.sqrt(8 * 9))
    for group in model.get_parameter("conv.weight").detach().double().split(8):
        matrix = group[:, :, 1, 1]
        assert (matrix.T @ matrix - torch.eye(4)).abs().max() < 1e-6


def test_numbers_are_what_the_ledger_shows():
    fill = inits.create({"scheme": "delta_orthogonal", "gain": "relu"}).resolve(kernel(32, 8, 3, 3))
    assert fill.numbers == {"gain": pytest.approx(math.sqrt(2)), "activation": "relu", "outputs": 32, "inputs": 8}
    assert (fill.mean, fill.std) == (0.0, pytest.approx(math.sqrt(2) / math.sqrt(32 * 9)))


def test_kurtosis_counts_the_zeros():
    block = kernel(64, 64, 3, 3)
    fill = inits.create({"scheme": "delta_orthogonal"}).resolve(block)
    assert fill.promise.kurtosis == pytest.approx(9 * 3 * 64 / 66)
    assert fill.std is not None
    assert draw(block).double().pow(4).mean().item() / fill.std**4 == pytest.approx(fill.promise.kurtosis, rel=0.1)


@pytest.mark.parametrize("scheme", ["delta_orthogonal", "conv_orthogonal"])
@pytest.mark.parametrize(
    ("block", "reason", "hint"),
    [
        (
            kernel(8, 16, 3, 3),
            "keeps norms, so it needs at least as many outputs as inputs, but it has 16 inputs and 8 outputs",
            "use `orthogonal`, or give the layer more outputs",
        ),
        (
            Matrix(shape=(8, 4, 3), fan_in=1, fan_out=1, name="1", start=8, input_first=True),
            "keeps norms, so it needs at least as many outputs as inputs, but it has 8 inputs and 4 outputs in each "
            "group",
            "use `orthogonal`, or give the layer more outputs",
        ),
        (kernel(16, 8), "needs the kernel of a convolution, but this has no taps", "use `orthogonal`"),
        (kernel(16), "needs the kernel of a convolution, but this has no taps", "use `orthogonal`"),
    ],
)
def test_what_cannot_keep_norms_is_refused(scheme: str, block: Matrix, reason: str, hint: str):
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": scheme}).resolve(block)
    assert (caught.value.reason, caught.value.hint) == (f"`{scheme}` {reason}", hint)
