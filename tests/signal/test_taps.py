"""Windows along one dimension, against convolutions of ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from modelforge.signal.taps import Taps, along_each


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(3, 1, 1, 1), (3, 2, 1, 1), (4, 2, 0, 1), (3, 1, 2, 2)]
)
def test_energies_go_through_windows_as_in_a_convolution(kernel, stride, padding, dilation):
    energy = torch.rand(9, dtype=torch.float64)
    ones = torch.ones(1, 1, kernel, dtype=torch.float64)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    made = functional.conv1d(energy[None, None], ones, **options)[0, 0]
    taps = Taps(9, len(made), kernel, stride, padding, dilation)
    assert taps.forward(energy.numpy()) * kernel == pytest.approx(made.numpy())
    given = torch.rand(len(made), dtype=torch.float64)
    reached = torch.autograd.functional.vjp(
        lambda x: functional.conv1d(x, ones, **options), energy[None, None], given[None, None]
    )[1][0, 0]
    assert taps.backward(given.numpy()) == pytest.approx(reached.numpy())


@pytest.mark.parametrize(("mode", "first"), [("circular", 4), ("replicate", 0), ("reflect", 1)])
def test_other_paddings_read_the_signal(mode, first):
    taps = Taps(5, 5, 3, 1, 1, 1, mode)
    assert taps.reads[0].tolist() == [first, 0, 1]
    assert (taps.reach, taps.forward(np.ones(5)).tolist()) == (1.0, [1.0] * 5)


def test_zero_padding_drains_by_the_eigenvalue_of_its_profile():
    """Far after the first layers a layer of 3 taps keeps (1 + 2·cos(π/(H + 1)))/3 of the energy along a dimension."""
    taps = (Taps(8, 8, 3, 1, 1, 1),)
    factor, profile = 1.0, {}
    for _ in range(60):
        factor, profile = along_each(taps, profile)
    assert factor == pytest.approx((1 + 2 * np.cos(np.pi / 9)) / 3, rel=1e-6)
