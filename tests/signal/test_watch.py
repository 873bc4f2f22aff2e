"""What is seen of a pass through a network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from modelforge.signal.watch import Watch


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def watched(model: nn.Module, *batch: Tensor) -> Watch:
    watch = Watch()
    model.requires_grad_(False)
    with watch.on(model):
        inputs = [watch.leaf("input", value) if value.is_floating_point() else value for value in batch]
        output = model(*inputs)
        watch.stop()
        torch.autograd.grad(output.sum(), watch.leaves, allow_unused=True)
    return watch


def num_hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_hooks_are_gone_afterwards_and_after_an_error():
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    watched(net, normal(2, 3))
    assert num_hooks(net) == 0
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        watched(net, normal(2, 4))
    assert num_hooks(net) == 0


def test_a_module_is_seen_under_its_first_path():
    shared = nn.Linear(3, 3)
    found = watched(nn.Sequential(shared, nn.Tanh(), shared), normal(2, 3)).records
    assert [*found] == ["input", "0", "1"]
    assert len(found["0"].seen) == 2


def test_values_before_in_place_work_are_those_that_count():
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(inplace=True))
    net[0].weight.data = -torch.eye(3)
    found = watched(net, torch.ones(2, 3)).records
    assert found["0"].seen[0].forward.mean == -1
    assert found["0"].seen[0].gradient.mean == 0
    assert found["1"].seen[0].forward.mean == 0
    assert found["1"].seen[0].gradient.mean == 1


def test_what_a_module_returns_untouched_keeps_its_gradient():
    net = nn.Sequential(nn.Identity(), nn.Dropout(0.5).eval(), nn.Flatten())
    found = watched(net, normal(2, 3)).records
    assert [found[path].seen[0].gradient.mean for path in ("input", "0", "1", "2")] == [1, 1, 1, 1]


def test_the_entry_is_the_first_module_that_reads_integers():
    net = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    assert watched(net, torch.tensor([1, 2])).entry == "0"
    assert watched(nn.Linear(3, 2), normal(2, 3)).entry is None


def test_a_buffer_that_a_module_returns_is_not_written():
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Buffer(torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            return self.table

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.act = Table(), nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.act(self.table(x))

    net = Net()
    found = watched(net, normal(2, 3)).records
    assert found["table"].seen[0].gradient is not None
    assert not net.table.table.requires_grad
    assert not net.table.table._backward_hooks


def test_how_a_weight_is_made_is_no_part_of_the_signal():
    net = nn.Sequential(parametrizations.orthogonal(nn.Linear(3, 3)), nn.ReLU())
    assert [*watched(net, normal(2, 3)).records] == ["input", "0", "1"]


def test_what_runs_without_gradients_is_seen_forward():
    class Frozen(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            with torch.no_grad():
                return super().forward(input)

    found = watched(nn.Sequential(Frozen(3, 3), nn.Linear(3, 2)), normal(2, 3)).records
    assert found["0"].seen[0].gradient is not None  # of what reads it
    assert found["input"].seen[0].gradient is None
