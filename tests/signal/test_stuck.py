"""Units that stay equal, and parameters that get no gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modelforge.core.errors import ForgeError
from modelforge.signal.stuck import find_stuck


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def net(hidden: float | None, head: float | None, act: type[nn.Module] = nn.Tanh) -> Any:
    """Two layers, each constant or random."""
    layers: Any = nn.Sequential(nn.Linear(3, 6), act(), nn.Linear(6, 2))
    for index, value in ((0, hidden), (2, head)):
        layers[index].weight.data = (
            normal(*layers[index].weight.shape, seed=index)
            if value is None
            else torch.full_like(layers[index].weight, value)
        )
        layers[index].bias.data.zero_()
    return layers


def groups(model: nn.Module, batch: Tensor) -> dict[str, tuple[tuple[int, ...], ...]]:
    return {units.path: units.groups for units in find_stuck(model, batch).equal_units}


def test_equal_units_stay_equal_only_where_their_readers_are_equal_too():
    batch = normal(8, 3)
    assert groups(net(0.3, 0.3), batch) == {"0.weight": ((0, 1, 2, 3, 4, 5),)}
    assert groups(net(0.3, None), batch) == {}
    assert groups(net(None, 0.3), batch) == {}
    assert groups(net(None, None), batch) == {}


def test_what_is_found_stays_equal_in_training_and_the_rest_parts():
    batch = normal(32, 3)
    for head, rank in ((0.3, 1), (None, 6)):
        model = net(0.3, head)
        (units,) = find_stuck(model, batch).equal_units or (None,)
        assert (6 if units is None else units.num_distinct) == rank
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(50):
            optimizer.zero_grad()
            (model(batch) - normal(32, 2, seed=9)).square().mean().backward()
            optimizer.step()
        weight = model[0].weight.detach()
        # Sums of equal numbers may round differently, by the processor.
        assert len(torch.unique(torch.cdist(weight, weight) < 1e-4, dim=0)) == rank


def test_two_of_many_are_found_and_a_bias_or_a_norm_parts_them():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 4, 2))
    batch = normal(4, 3, 4, 4)
    with torch.no_grad():
        model[0].weight[3], model[0].bias[3] = model[0].weight[1], model[0].bias[1]
        model[4].weight.view(2, 5, 4)[:, 3] = model[4].weight.view(2, 5, 4)[:, 1]
    assert groups(model.eval(), batch) == {"0.weight": ((1, 3),)}
    model[1].weight.data[3] = 2.0
    assert groups(model, batch) == {}
    model[1].weight.data[3] = 1.0
    model[0].bias.data[3] += 0.1
    assert groups(model, batch) == {}


@pytest.mark.parametrize(("hidden", "head"), [(None, 0.0), (0.0, None)])
def test_one_zero_is_no_dead_end_but_two_are(hidden, head):
    one = find_stuck(net(hidden, head), normal(8, 3))
    assert (one.zero_gradients, one.equal_units) == ((), ())
    assert [*find_stuck(net(0.0, 0.0), normal(8, 3)).zero_gradients] == ["0.weight", "0.bias", "2.weight"]


def test_a_relu_that_cuts_everything_is_a_dead_end():
    model = net(None, None, nn.ReLU)
    model[0].bias.data.fill_(-100.0)
    assert [*find_stuck(model, normal(8, 3)).zero_gradients] == ["0.weight", "0.bias", "2.weight"]


def test_frozen_and_unused_parameters_are_told_apart():
    model = net(None, None)
    model.register_parameter("spare", nn.Parameter(torch.ones(2)))
    model[0].weight.requires_grad_(False)
    model.spare.grad = torch.ones(2)
    found = find_stuck(nn.Sequential(model[0], model[1], model[2]), normal(8, 3))
    assert (found.zero_gradients, found.unused) == ((), ())

    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    spare = Spare()
    found = find_stuck(spare, normal(8, 3))
    assert found.unused == ("spare.weight", "spare.bias")
    assert all(weight.grad is None for weight in spare.parameters())


def test_of_many_equal_units_the_readers_decide_which_stay_equal():
    model = net(0.3, None)
    model[2].weight.data = torch.tensor([[1.0, 1.0, 2.0, 2.0, 3.0, 4.0], [0.0, 0.0, 5.0, 5.0, 1.0, 1.0]])
    (units,) = find_stuck(model, normal(8, 3)).equal_units
    assert units.groups == ((0, 1), (2, 3))
    assert (units.num_units, units.num_distinct) == (6, 4)


def test_gradients_that_are_not_finite_are_told_apart():
    model = net(None, None)
    model[2].weight.data[0, 0] = torch.nan
    found = find_stuck(model, normal(8, 3))
    assert found.not_finite == ("0.weight", "0.bias")  # those of the head do not read it
    assert find_stuck(net(None, None), normal(8, 3)).not_finite == ()


def test_rows_that_only_begin_alike_are_not_equal():
    model = net(None, 0.3)
    model[0].weight.data[:, 0] = 0.5
    assert groups(model, normal(8, 3)) == {}
    model[0].weight.data[4] = model[0].weight.data[1]
    assert groups(model, normal(8, 3)) == {"0.weight": ((1, 4),)}


def test_a_network_without_gradients_of_weights_is_a_problem():
    class Overwritten(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            y = self.second(x)
            x.zero_()
            return y

    with pytest.raises(ForgeError, match="has no gradients on this batch"):
        find_stuck(Overwritten(), normal(8, 3))
