"""How examples that drift apart differ: sums of lognormal numbers, laws of mixtures, and deep nets of GELU as built."""

from __future__ import annotations

from math import exp, isfinite, sqrt

import numpy as np
import pytest
import torch

import modelforge as mf
from modelforge.signal.scatter import (
    MASSES,
    POINTS,
    GradientScatter,
    Scatter,
    correlation_of,
    covariance,
    lognormal,
    mixture,
    shared_part,
    variance,
)
from tests.signal.nets import chain, check, mlp


def test_the_covariance_of_functions_of_normal_numbers():
    """Those of one number: all of the variance; of exponentials: e^(s²)·(e^(s²ρ) - 1)."""
    values = np.exp(0.3 * POINTS)
    expected = [exp(0.09) * (exp(0.09 * correlation) - 1) for correlation in (0.0, 0.4, 1.0)]
    assert [covariance(values, one) for one in (0.0, 0.4, 1.0)] == pytest.approx(expected, rel=1e-3, abs=1e-9)
    assert variance(values) == pytest.approx(expected[-1], rel=1e-3)
    assert correlation_of(values, expected[1]) == pytest.approx(0.4, rel=1e-3)


def test_a_mixture_of_normal_laws_has_their_moments():
    shifts, shares = np.array([-1.0, 0.0, 2.0]), np.array([0.2, 0.5, 0.3])
    law = mixture(shifts[:, None] + 0.7 * POINTS, shares)
    mean = float(shares @ shifts)
    assert float(MASSES @ law) == pytest.approx(mean, abs=0.01)
    assert variance(law) == pytest.approx(0.49 + float(shares @ (shifts - mean) ** 2), rel=0.02)


def test_several_mixtures_are_made_at_once():
    """Among them one of equal laws that are constant."""
    laws, shares = np.random.default_rng(0).normal(size=(4, 3, 1)) + 0.5 * POINTS, np.array([0.2, 0.5, 0.3])
    laws[3] = 2.0
    assert mixture(laws, shares) == pytest.approx(np.array([mixture(rows, shares) for rows in laws]))
    assert mixture(laws, shares)[3] == pytest.approx(np.full(len(POINTS), 2.0))


@pytest.mark.parametrize(("own", "shared"), [(0.02, 0.01), (0.5, 0.0), (4.0, 1.0), (25.0, 5.0)])
def test_the_logarithm_of_a_mean_as_drawn(own, shared):
    """The smaller variances by the formula of lognormal sums, larger ones by the integral: both as 20,000 draws."""
    generator = np.random.default_rng(0)
    examples = sqrt(own) * generator.normal(size=(20000, 16)) + sqrt(shared) * generator.normal(size=(20000, 1))
    drawn = np.log(np.exp(examples - (own + shared) / 2).mean(axis=1))
    mean, spread = Scatter.normal(own + shared, shared).log_of_mean(16)
    assert mean == pytest.approx(drawn.mean(), abs=0.02 + 0.02 * drawn.std())
    assert sqrt(spread) == pytest.approx(drawn.std(), rel=0.03)
    assert lognormal((mean, spread)) == (spread, mean + spread / 2)


def test_what_two_examples_share_follows_from_the_mean_over_a_batch():
    assert shared_part(1.0, 1.0, 16) == 1.0
    assert shared_part(1.0, 1 / 16, 16) == pytest.approx(0.0)
    assert shared_part(1.0, 0.4 + 0.6 / 16, 16) == pytest.approx(0.4)
    assert shared_part(1.0, 1.0, 1) == 0.0


def test_weights_add_noise_and_biases_bring_examples_nearer():
    scatter = Scatter(Scatter.normal(1.0, 0.25).logs, 0.25, noise=0.5, shared=0.3)
    made = scatter.weighted(1.0)
    assert variance(made.logs) == pytest.approx(1.5, rel=0.02)
    assert covariance(made.logs, made.correlation) == pytest.approx(0.25 + 0.3, rel=0.02)
    assert float(MASSES @ np.exp(made.logs)) == pytest.approx(1, rel=0.02)
    assert variance(scatter.weighted(0.1).logs) < 0.05


def test_examples_with_the_same_slopes_and_no_noise_send_back_what_they_got():
    """ReLU has one slope for all energies: nothing is followed there, and the spread stays that of the whole batch."""
    nodes = mf.predict(mf.plan(mlp("ReLU", 8, 16, {"scheme": "kaiming"})), batch_size=16).nodes
    assert all(node.signal.scatter is None and node.gradient.scatter is None for node in nodes)


def test_few_examples_have_most_of_the_energy():
    """30 layers of GELU: the mean over a batch is above what its spread over draws would say of a lognormal law."""
    plan = mf.plan(mlp("GELU", 30, 128, {"scheme": "lecun", "gain": "auto"}))
    signals = [mf.predict(plan, batch_size=batch).node("linear58").signal for batch in (1, 16, 256)]
    assert signals[0].spread > signals[1].spread > signals[2].spread
    assert signals[0].log_mean < signals[1].log_mean < signals[2].log_mean
    assert signals[0].second == signals[2].second


@pytest.mark.parametrize("scatter", [Scatter.normal(2500.0, 100.0), Scatter(np.full(len(POINTS), -2000.0), 0.5)])
def test_energies_below_the_least_of_a_float_keep_their_logarithm(scatter):
    made = scatter.weighted(1.0)
    assert made.logs == pytest.approx(scatter.logs, rel=0.01, abs=0.5)
    returned = GradientScatter.normal(1.0, 0.1).unweighted(scatter, made, 1.0, 16)
    assert np.isfinite(returned.logs).all()
    assert np.isfinite(returned.radial).all()
    assert np.isfinite(scatter.weighted(0.9).logs).all()


def test_a_hundred_layers_of_gelu_have_finite_predictions():
    plan = mf.plan(mlp("GELU", 100, 16, {"scheme": "lecun", "distribution": "normal", "gain": "auto"}))
    nodes = mf.predict(plan, batch_size=16).nodes
    figures = [each for node in nodes for each in (node.signal, node.gradient)]
    assert all(isfinite(each.spread) and isfinite(each.log_mean) for each in figures)
    assert nodes[-1].signal.spread > 10


@pytest.mark.parametrize(
    ("activation", "depth", "p", "bias"),
    [
        ("GELU", 10, 0.7, 0.0),
        ("GELU", 16, 0.3, 0.0),
        ("ReLU", 3, 0.5, 0.0),
        ("ReLU", 3, 0.8, 0.0),
        ("GELU", 16, 0.0, 0.5),
    ],
)
def test_dropout_and_biases_spread_examples_as_drawn(activation, depth, p, bias):
    """Spreads after each dropout, forward and backward, as in 1,000 draws of weights, examples and masks."""
    bias_init = {"bias": {"scheme": "normal", "std": bias}} if bias else {}
    layers = [
        {"type": "Linear", "out_features": 32, "init": bias_init},
        activation,
        {"type": "Dropout", "p": p},
    ] * depth
    init = {"scheme": "lecun", "distribution": "normal", "gain": "auto"}
    plan = mf.plan(chain(*layers, shape=[32], init=init))
    generator = torch.Generator().manual_seed(0)
    function, tensor = getattr(torch.nn, activation)(), torch.randn(1000, 16, 32, generator=generator)
    tensor.requires_grad_()
    kept = []
    for parameter in plan.parameters:
        if parameter.path.endswith("bias"):
            continue
        weight = (parameter.std or 0.0) * torch.randn(1000, 32, 32, generator=generator)
        mask = torch.rand(tensor.shape, generator=generator) > p
        shift = bias * torch.randn(1000, 1, 32, generator=generator)
        tensor = function(tensor @ weight + shift) * mask / (1 - p)
        tensor.retain_grad()
        kept.append(tensor)
    (tensor * torch.randn(tensor.shape, generator=generator)).sum().backward()
    nodes = [node for node in mf.predict(plan, batch_size=16).nodes if node.type == "Dropout"]
    for node, drawn in zip(nodes, kept, strict=True):
        for item, values in ((node.signal, drawn.detach()), (node.gradient, drawn.grad)):
            logs = values.double().square().mean(dim=(1, 2)).log()
            assert item.spread == pytest.approx(float(logs.std()), rel=0.15)
            assert item.log_mean == pytest.approx(float(logs.mean()), abs=0.02 + 0.25 * float(logs.std()))


def test_dropout_of_everything_leaves_no_examples_to_follow():
    hidden, everything = {"type": "Linear", "out_features": 16}, {"type": "Dropout", "p": 1.0}
    spec = chain(*[hidden, "GELU"] * 20, everything, hidden, shape=[16], init={"scheme": "lecun", "gain": "auto"})
    nodes = mf.predict(mf.plan(spec), batch_size=16).nodes
    assert [node.signal.scatter is None for node in nodes[-3:]] == [False, True, True]


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("activation", ["GELU", pytest.param("SiLU", marks=pytest.mark.thorough)])
def test_thirty_layers_as_measured(activation, direction):
    layers = {"hidden": {"type": "Linear", "out_features": 256}, "act": activation}
    model = {"input": {"shape": [256]}, "layers": {"deep": {"type": "Repeat", "times": 30, "layers": layers}}}
    init = {"scheme": "lecun", "distribution": "normal"}
    (setting,) = mf.solve(mf.plan(mf.parse(model, init=init)), direction, batch_size=16).settings
    check(mf.parse({**model, "init": {"params": setting.value}}, init=init), seeds=12, widest=2.5)


@pytest.mark.slow
def test_examples_that_come_to_be_alike_share_their_energy():
    """After 20 layers of ReLU all examples point one way: that some are larger takes no example away from a mean."""
    layers = {"dense": {"type": "Linear", "out_features": 64, "bias": False}, "act": "ReLU"}
    stack = {"stack": {"type": "Repeat", "times": 20, "layers": layers}}
    plan = mf.plan(mf.parse({"input": {"shape": [64]}, "layers": stack}, init="kaiming"))
    signal, draws = mf.predict(plan).nodes[-1].signal, 150
    with torch.no_grad():
        squares = [mf.build(plan, seed=seed)(torch.randn(32, 64)).square() for seed in range(draws)]
    logs = torch.stack([square.mean().log() for square in squares])
    assert float(logs.std()) == pytest.approx(signal.spread, rel=4 / sqrt(2 * draws))
    assert float(logs.mean()) == pytest.approx(signal.log_mean, abs=4 * signal.spread / sqrt(draws))
