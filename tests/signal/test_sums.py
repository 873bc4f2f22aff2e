"""Sums of gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import modelforge as mf
from modelforge.signal.shape import Shape
from modelforge.signal.sums import mixed_profile, summed
from modelforge.signal.value import Gradient, Signal

SHAPE = Shape((8, 16, 5, 5), batch=0, units=1)


def test_gradients_add_up():
    profile = {2: np.array([5.0, 0, 0, 0, 0])}
    total = summed(
        [Gradient(1.0, 0.5, drift=0.04), Gradient(3.0, drift=0.04, profile=profile)], Signal(SHAPE, 0.0, 1.0, 0.0, 0.0)
    )
    assert (total.energy, total.along) == (4.0, 0.5)
    assert total.drift == pytest.approx(0.04), "drifts of one cause do not average out"
    assert total.profile[2].tolist() == [4.0, 0.25, 0.25, 0.25, 0.25]


def test_no_profile_where_all_is_alike():
    assert not mixed_profile([(1.0, {}), (2.0, {})], SHAPE.sizes)


@pytest.mark.parametrize("number", [2, 3])
def test_layers_whose_sum_a_batch_norm_divides_by_its_size(number):
    """The gradient of what they all read, as in 1,000 draws: their weights together take back what the norm does."""
    linear = {"type": "Linear", "out_features": 32}
    layers = {
        "sum": {"type": "Parallel", "branches": {str(place): linear for place in range(number)}, "merge": "Add"},
        "norm": "BatchNorm1d",
    }
    spec = mf.parse({"input": {"shape": [4]}, "layers": layers}, init={"scheme": "lecun", "distribution": "normal"})
    gradient = mf.predict(mf.plan(spec), batch_size=16).node("input").gradient
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(1000, 16, 4, generator=generator, requires_grad=True)
    added = sum(given @ (torch.randn(1000, 4, 32, generator=generator) / 2) for _ in range(number))
    normed = (added - added.mean(dim=1, keepdim=True)) / (added.var(dim=1, keepdim=True, correction=0) + 1e-5).sqrt()
    (normed * torch.randn(normed.shape, generator=generator)).sum().backward()
    logs = given.grad.double().square().mean(dim=(1, 2)).log()
    assert float(logs.mean()) == pytest.approx(gradient.log_mean, abs=3 * gradient.spread / len(logs) ** 0.5)


@pytest.mark.parametrize("number", [2, 6])
def test_the_spread_of_a_sum_of_what_norms_hold(number):
    """Energies of the parts are held, so that all that scatters is their products, as in 1,000 draws."""
    branch = {"linear": {"type": "Linear", "out_features": 32}, "norm": "LayerNorm"}
    branches = {str(place): {"type": "Sequential", "layers": branch} for place in range(number)}
    layers = {"sum": {"type": "Parallel", "branches": branches, "merge": "Add"}}
    spec = mf.parse({"input": {"shape": [16]}, "layers": layers}, init={"scheme": "lecun", "distribution": "normal"})
    signal = mf.predict(mf.plan(spec), batch_size=8).node("sum.merge").signal
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(1000, 8, 16, generator=generator)
    parts = [given @ (torch.randn(1000, 16, 32, generator=generator) / 4) for _ in range(number)]
    logs = sum(torch.nn.functional.layer_norm(part, (32,)) for part in parts).square().mean(dim=(1, 2)).log()
    assert float(logs.std()) == pytest.approx(signal.spread, rel=0.1)
    assert float(logs.mean()) == pytest.approx(signal.log_mean, abs=3 * signal.spread / len(logs) ** 0.5)
