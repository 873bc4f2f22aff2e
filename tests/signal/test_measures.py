"""Measures of one tensor and of one activation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from modelforge.inits.gains.activations import register_activation, unregister_activation
from modelforge.signal.measures import (
    MAX_ROWS,
    Moments,
    as_rows,
    channel_dim,
    drawn,
    effective_rank,
    is_activation,
    num_dead,
    share_saturated,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_moments():
    found = Moments.of(torch.tensor([1.0, 2.0, 6.0], dtype=torch.bfloat16))
    assert (found.mean, found.second_moment) == (3, 41 / 3)
    assert found.std == pytest.approx(math.sqrt(14 / 3))
    assert Moments.from_sums(3.0, 41 / 3) == Moments(3.0, pytest.approx(found.std), 41 / 3, found.log_second_moment)
    assert Moments.of(torch.zeros(3)).log_second_moment == -math.inf
    assert math.isnan(Moments.of(torch.zeros(0)).mean)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_equal_singular_values_count_as_many_dimensions(rank):
    left, right = (torch.linalg.qr(normal(size, size, seed=size))[0][:, :rank] for size in (20, 30))
    for scale in (1e-30, 1.0, 1e30):
        assert effective_rank(scale * left @ right.T) == pytest.approx(rank, rel=1e-3)


def test_the_effective_rank_is_that_of_the_definition():
    values = normal(40, 12)
    shares = torch.linalg.svdvals(values.double())
    shares = shares / shares.sum()
    assert effective_rank(values) == pytest.approx(math.exp(-float((shares * shares.log()).sum())), rel=1e-9)


def test_of_many_rows_some_are_enough():
    assert effective_rank(normal(100 * MAX_ROWS, 4)) == pytest.approx(4, rel=0.02)
    assert effective_rank(torch.tensor([[math.inf, 1.0]])) is None


def test_the_rows_of_one_position_do_not_stand_for_all():
    """The first of 64 positions is a class token: every 64th row of 256 examples is the same."""
    rows = normal(256, 64, 8)
    rows[:, 0] = 1.0
    assert effective_rank(rows.flatten(0, 1)) == pytest.approx(effective_rank(rows[:4].flatten(0, 1)), rel=0.05)


def test_rows_that_are_drawn_are_different_ones_in_order():
    places = drawn(torch.arange(10_000), 256)
    assert len(places) == 256
    assert bool((places.diff() > 0).all())
    assert torch.equal(places, drawn(torch.arange(10_000), 256))
    assert torch.equal(drawn(torch.arange(3), 256), torch.arange(3))


def test_dead_units_are_constant_ones():
    rows = torch.tensor([[1.0, 0.0, 2.0], [1.0, 0.0, 3.0]])
    assert num_dead(rows) == 2
    assert num_dead(rows[:1]) is None
    assert num_dead(rows.index_fill(0, torch.tensor([0]), math.nan)) is None


def test_rows_are_places_and_examples():
    images = normal(2, 3, 4, 5)
    rows = as_rows(images, 1)
    assert rows.shape == (40, 3)
    assert torch.equal(rows[:, 1], images[:, 1].flatten())


@pytest.mark.parametrize(
    ("module", "shape", "before", "dim"),
    [
        (nn.Linear(1, 1), (2, 3, 4, 5), 1, 3),
        (nn.Conv2d(1, 1, 1), (2, 3, 4, 5), None, 1),
        (nn.BatchNorm1d(3), (2, 3, 4), None, 1),
        (nn.BatchNorm1d(3), (2, 3), None, 1),
        (nn.ReLU(), (2, 3, 4), 1, 1),
        (nn.ReLU(), (2, 3, 4), None, 2),
        (nn.ReLU(), (2, 3, 4, 5), None, 1),
        (nn.ReLU(), (2, 3, 4, 5), 3, 3),
        (nn.Flatten(), (2, 3), 1, 1),
        (nn.ReLU(), (3,), None, 0),
    ],
)
def test_where_units_are_counted(module, shape, before, dim):
    assert channel_dim(module, torch.zeros(shape), before) == dim


def test_what_is_an_activation():
    for module in (nn.ReLU(), nn.GELU(), nn.Tanh(), nn.Hardswish(), nn.LeakyReLU(0.2)):
        assert is_activation(module)
    for module in (nn.Linear(1, 1), nn.PReLU(), nn.Identity(), nn.Softmax(-1), nn.Sequential(nn.ReLU())):
        assert not is_activation(module)

    class Snake(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + x.sin().square()

    assert not is_activation(Snake())
    register_activation("snake", Snake)
    assert is_activation(Snake())
    unregister_activation("snake")


@pytest.mark.parametrize(
    ("activation", "values", "share"),
    [
        (nn.ReLU(), [-1.0, 1.0], 0.5),
        (nn.ReLU(inplace=True), [-1.0, 1.0], 0.5),
        (nn.LeakyReLU(0.1), [-1.0, 1.0], 0.0),
        (nn.LeakyReLU(0.01), [-1.0, 1.0], 0.5),
        (nn.Hardtanh(), [-2.0, 0.0, 0.5, 2.0], 0.5),
        (nn.GELU(), [-9.0, 9.0], 0.5),
        (nn.Softsign(), [0.0, 3.0, 4.0], 1 / 3),  # 1 / (1 + |x|)² < 1/20 where |x| > 3.47
    ],
    ids=str,
)
def test_shares_of_flat_places(activation, values, share):
    given = torch.tensor(values)
    assert share_saturated(activation, given) == pytest.approx(share)
    assert given.tolist() == values
    assert share_saturated(activation, torch.zeros(0)) is None
    assert share_saturated(activation, torch.tensor([0.0, math.nan])) is None


class Square(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu().square()


def test_slopes_that_grow_without_end_are_compared_with_those_that_occur():
    """2x is below 5 % of its root mean square, √2, at the half below 0 and where x < 0.035."""
    assert share_saturated(Square(), normal(100_000)) == pytest.approx(0.514, abs=0.005)
    assert share_saturated(Square(), 100 * normal(100_000)) == pytest.approx(0.514, abs=0.005)
    assert share_saturated(nn.GELU(), normal(100_000)) == pytest.approx(0.091, abs=0.005)


def test_slopes_draw_nothing():
    activation = nn.RReLU()
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    assert share_saturated(activation, normal(100)) == 0
    assert torch.equal(state, torch.random.get_rng_state())
    assert activation.training


def test_nothing_is_counted_of_nan():
    """A share of 0 % would say that all is well."""
    values = torch.tensor([[1.0, torch.nan], [1.0, 2.0]])
    assert share_saturated(nn.ReLU(), values) is None
    assert num_dead(values) is None
