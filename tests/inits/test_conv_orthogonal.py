"""Convolutional orthogonal: full kernels whose convolution is an isometry."""

from __future__ import annotations

import math

import pytest
import torch

import modelforge as mf
from modelforge import inits
from modelforge.core.rng import Key
from modelforge.inits import Matrix


def draw(block: Matrix, scheme: str = "conv_orthogonal", key: int = 0, **fields: float) -> torch.Tensor:
    out = torch.full(block.shape, torch.nan)
    inits.create({"scheme": scheme, **fields}).resolve(block).draw_(out, Key(0, "conv", key))
    return out


def singular_values(kernel: torch.Tensor, size: int = 8) -> torch.Tensor:
    """Of the circular convolution on a grid, which Fourier waves part into one matrix each."""
    axes = tuple(range(2, kernel.ndim))
    waves = torch.fft.fftn(kernel.double(), s=[size] * len(axes), dim=axes)
    return torch.linalg.svdvals(waves.flatten(2).permute(2, 0, 1))


SHAPES = [
    (16, 8, 3),
    (8, 8, 4),
    (32, 32, 3, 3),
    (12, 5, 5, 5),
    (6, 6, 2, 4),
    (9, 1, 1, 5),
    (1, 1, 3, 3),
    (8, 4, 3, 3, 3),
]


@pytest.mark.parametrize("gain", [1.0, 1.5])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_singular_values_of_the_convolution_are_the_gain(shape: tuple[int, ...], gain: float):
    values = singular_values(draw(Matrix(shape=shape, fan_in=1, fan_out=1), gain=gain))
    assert (values - gain).abs().max() < 1e-5


def test_of_transposed_convolutions_too():
    kernel = draw(Matrix(shape=(8, 12, 3, 3), fan_in=1, fan_out=1, input_first=True)).transpose(0, 1)
    assert (singular_values(kernel) - 1).abs().max() < 1e-5


def test_a_flattened_orthogonal_kernel_is_no_such_isometry():
    block = Matrix(shape=(32, 32, 3, 3), fan_in=1, fan_out=1)
    values = singular_values(draw(block, "orthogonal"))
    assert values.min() < 0.1
    assert values.max() > 1.5
    assert (singular_values(draw(block, "delta_orthogonal")) - 1).abs().max() < 1e-5


def test_energy_spreads_over_the_taps_by_binomial_coefficients():
    # Projections are as likely to keep a direction as to move it, so that each axis walks k - 1 fair steps.
    num_draws, shape = 300, (16, 8, 3, 5)
    fill = inits.create({"scheme": "conv_orthogonal"}).resolve(Matrix(shape=shape, fan_in=1, fan_out=1))
    out = torch.empty(shape)
    energies = torch.empty(num_draws, 3, 5, dtype=torch.float64)
    for draw_number, energy in enumerate(energies):
        fill.draw_(out, Key(0, "binomial", draw_number))
        energy.copy_(out.double().square().sum((0, 1)) / 8)
    expected = torch.outer(torch.tensor([1.0, 2, 1]) / 4, torch.tensor([1.0, 4, 6, 4, 1]) / 16)
    error = energies.std(0) / math.sqrt(num_draws)
    assert ((energies.mean(0) - expected).abs() < 4.5 * error).all()
    assert torch.allclose(energies.sum((1, 2)), torch.ones(num_draws, dtype=torch.float64), atol=1e-6)


def test_one_tap_is_an_orthogonal_matrix():
    matrix = draw(Matrix(shape=(16, 8, 1, 1), fan_in=1, fan_out=1)).double().flatten(1)
    assert (matrix.T @ matrix - torch.eye(8)).abs().max() < 1e-6


def test_many_channels_have_the_stated_kurtosis():
    block = Matrix(shape=(256, 64, 3, 3), fan_in=1, fan_out=1)
    fill = inits.create({"scheme": "conv_orthogonal"}).resolve(block)
    assert fill.promise.kurtosis == pytest.approx(9 * (6 / 16) ** 2 * 3 * 256 / 258)
    assert fill.std is not None
    assert draw(block).double().pow(4).mean().item() / fill.std**4 == pytest.approx(fill.promise.kurtosis, rel=0.1)


@pytest.mark.parametrize("num_threads", [1, 3])
def test_the_number_of_threads_changes_no_bit(num_threads: int):
    block = Matrix(shape=(160, 160, 3, 3), fan_in=1, fan_out=1)
    expected, before = draw(block), torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        assert torch.equal(draw(block), expected)
    finally:
        torch.set_num_threads(before)


def test_a_built_network_carries_its_signal_through_50_layers():
    layers = {
        f"conv{i}": {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1, "padding_mode": "circular"}
        for i in range(50)
    }
    model = mf.build(mf.parse({"input": {"shape": [8, 8, 8]}, "layers": layers}, init="conv_orthogonal"))
    assert model.ledger.ok
    x = torch.randn(2, 8, 8, 8, generator=Key(1).generator())
    with torch.no_grad():
        assert torch.allclose(model(x).flatten(1).norm(dim=1), x.flatten(1).norm(dim=1), rtol=1e-4)
