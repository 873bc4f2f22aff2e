"""A model that runs, and is afterwards what it was."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from modelforge.modules.untouched import random_state, untouched


def seed() -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)


def draws() -> tuple[float, float, float]:
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_random_state_is_restored_of_all_three():
    with random_state():
        seed()
        expected = draws()
        seed()
        with random_state():
            assert draws() == expected
        assert draws() == expected


@pytest.mark.parametrize("fails", [True, False])
def test_modes_buffers_flags_hooks_and_attributes_are_restored(fails):
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    net[0].bias.requires_grad_(False)
    mean, table = net[1].running_mean, vars(net[1])["_buffers"]
    names = [list(vars(module)) for module in net]
    try:
        with untouched(net):
            net.train()(torch.randn(4, 2))
            net[1].running_mean = torch.ones(2)
            net[1].register_buffer("more", torch.ones(2))
            net[0].register_forward_hook(lambda module, args, output: None)
            net.requires_grad_(True)
            del net[0].in_features
            net[0].another = 3
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    assert not net.training
    assert not net[1].training
    assert net[1].running_mean is mean
    assert mean.tolist() == [0, 0]
    assert net[1].num_batches_tracked == 0
    assert vars(net[1])["_buffers"] is table
    assert [*table] == ["running_mean", "running_var", "num_batches_tracked"]
    assert [list(vars(module)) for module in net] == names
    assert [weight.requires_grad for weight in net.parameters()] == [True, False, True, True]
    assert not net[0]._forward_hooks
