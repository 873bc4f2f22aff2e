"""Singular values of the input-output Jacobian: whole where it is small, estimated where it is large."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.signal import jacobian as module
from modelforge.signal.jacobian import Jacobian, mean_of


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def linear_net(*widths: int) -> nn.Sequential:
    layers = [nn.Linear(one, other, bias=False) for one, other in pairwise(widths)]
    for index, layer in enumerate(layers):
        layer.weight.data = normal(*layer.weight.shape, seed=index)
    return nn.Sequential(*layers)


def product(net: nn.Sequential) -> Tensor:
    matrix = torch.eye(net[0].in_features)
    for layer in net:
        matrix = layer.weight.detach() @ matrix
    return matrix


def of(net: nn.Module, batch: Tensor) -> Jacobian:
    found = mf.probe(net, batch).jacobian
    assert found is not None
    return found


@pytest.mark.parametrize("widths", [(5, 5), (6, 9, 4), (3, 8, 7)])
def test_of_a_linear_net_they_are_those_of_the_product(widths):
    net = linear_net(*widths)
    found = of(net, normal(10, widths[0]))
    expected = torch.linalg.svdvals(product(net).double())
    assert (found.shape, found.method, found.num_blocks) == ((widths[-1], widths[0]), "exact", 4)
    assert found.singular_values == pytest.approx(expected.tolist(), rel=1e-5)
    assert found.mean_square == pytest.approx(float(expected.square().mean()), rel=1e-5)
    assert found.largest == found.singular_values[0]


def test_an_orthogonal_net_is_an_isometry():
    net = nn.Sequential(*(nn.Linear(16, 16, bias=False) for _ in range(10)))
    mf.initialize(net, "orthogonal")
    assert of(net, normal(8, 16)).singular_values == pytest.approx([1.0] * 16, rel=1e-5)


def test_of_a_relu_they_are_its_slopes():
    assert of(nn.ReLU(), torch.tensor([[1.0, -1.0, 2.0, -3.0]])).singular_values == (1, 1, 0, 0)


def test_blocks_are_those_of_single_examples():
    net, batch = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)), normal(4, 5)
    expected = torch.zeros(3, dtype=torch.float64)
    for row in batch:
        expected += torch.linalg.svdvals(torch.autograd.functional.jacobian(net, row).double()) / 4
    assert of(net, batch).singular_values == pytest.approx(expected.tolist(), rel=1e-5)


def test_where_examples_see_one_another_it_is_the_whole_batch():
    net, batch = nn.BatchNorm1d(3), normal(6, 3)
    found = of(net, batch)
    assert (found.shape, found.num_blocks) == ((18, 18), 1)
    whole = torch.autograd.functional.jacobian(nn.BatchNorm1d(3), batch).reshape(18, 18)
    assert found.singular_values == pytest.approx(torch.linalg.svdvals(whole).tolist(), abs=1e-5)
    assert of(net.eval(), batch).shape == (3, 3)
    recurrent = nn.RNN(2, 3)  # time comes first
    assert of(recurrent, normal(4, 5, 2)).shape == (4 * 5 * 3, 4 * 5 * 2)
    softmax = nn.Softmax(dim=0)
    assert of(softmax, normal(4, 2)).num_blocks == 1


def test_networks_that_drop_a_batch_of_one_are_measured():
    class Squeezing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = x.squeeze()
            assert x.ndim == 2
            return 2 * x

    assert of(Squeezing(), normal(4, 3, 1)).singular_values == (2, 2, 2)


def test_networks_of_one_batch_size_are_measured_as_a_whole():
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x.view(4, 3)

    assert of(Fixed(), normal(4, 3)).shape == (12, 12)


def test_an_output_that_depends_on_no_input_has_none():
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ones(len(x), 2)

    assert mf.probe(Constant(), normal(4, 3)).jacobian is None
    assert mf.probe(nn.Linear(3, 2), normal(4, 3), jacobian=False).jacobian is None


# --- large ones -------------------------------------------------------------------------------------------------------


@pytest.fixture
def _small_is_large(monkeypatch):
    monkeypatch.setattr(module, "MAX_OUTPUTS", 4)


@pytest.mark.usefixtures("_small_is_large")
def test_estimates_are_close():
    net = nn.Sequential(nn.Linear(60, 80), nn.Tanh(), nn.Linear(80, 50))
    mf.initialize(net, "xavier")
    batch = normal(3, 60)
    found = mf.probe(net, batch, seeds=range(4)).jacobian
    assert found is not None
    jacobians = [torch.autograd.functional.jacobian(net, row).double() for row in batch]
    each = torch.stack([torch.linalg.svdvals(jacobian) for jacobian in jacobians])
    expected, squares = each.mean(0), each.square().mean(0)
    assert (found.method, len(found.singular_values), found.num_blocks) == ("stochastic", 4, 3)
    assert found.singular_values == pytest.approx(expected[:4].tolist(), rel=0.05)
    assert found.singular_values[0] <= expected[0] * 1.0001
    # Of 96 random directions; each has the relative variance 2 Σ σ⁴ / (Σ σ²)².
    spread = (2 * squares.square().sum() / squares.sum() ** 2 / 96).sqrt()
    assert found.mean_square == pytest.approx(float(squares.mean()), rel=float(3 * spread))


@pytest.mark.usefixtures("_small_is_large")
@pytest.mark.parametrize(
    "net",
    [
        nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
        nn.GRU(8, 8, batch_first=True),
        nn.LSTM(8, 8, batch_first=True),
        nn.Sequential(nn.Conv1d(6, 6, 3, padding=1), nn.BatchNorm1d(6), nn.GELU()),
    ],
    ids=lambda net: type(net).__name__,
)
def test_forward_mode_goes_through(net, monkeypatch):
    batch = normal(2, 6, 8)
    estimated = of(net, batch)
    assert len(estimated.singular_values) == 4
    monkeypatch.setattr(module, "MAX_OUTPUTS", 1024)
    exact = mf.probe(net, batch).jacobian
    assert exact.method == "exact"
    assert estimated.largest == pytest.approx(exact.largest, rel=0.1)


@pytest.mark.usefixtures("_small_is_large")
def test_without_a_forward_mode_the_mean_square_is_left():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, *grad_outputs):
            return 2 * grad_outputs[0]

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Twice.apply(x)

    found = of(Net(), normal(3, 16))
    assert found.singular_values == ()
    assert found.largest is None
    assert found.mean_square == pytest.approx(4, rel=3 * (2 / 16 / 8) ** 0.5)


def test_a_mean_over_nothing_is_none():
    assert mean_of([]) is None
    one = Jacobian((1, 2), 1, "exact", (2.0,), 4.0)
    assert mean_of([one, Jacobian((1, 2), 1, "exact", (4.0,), 16.0)]) == Jacobian((1, 2), 1, "exact", (3.0,), 10.0)
    assert one.to_dict() == {
        "shape": [1, 2],
        "num_blocks": 1,
        "method": "exact",
        "singular_values": [2.0],
        "mean_square": 4.0,
    }
