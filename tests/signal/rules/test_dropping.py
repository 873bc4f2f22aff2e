"""Dropouts as predicted and as measured."""

from __future__ import annotations

import pytest
import torch

import modelforge as mf
from modelforge.signal.rules.dropping import LEAST
from tests.signal.nets import chain, check

LINEAR = {"type": "Linear", "out_features": 64}
CONV = {"type": "Conv1d", "out_channels": 48, "kernel_size": 3, "padding": 1}
KINDS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "DropPath")


@pytest.mark.parametrize("training", [True, False])
def test_elements(training):
    drop = {"type": "Dropout", "p": 0.3}
    check(chain(*[LINEAR, "ReLU", drop] * 4, shape=[64], init={"scheme": "kaiming"}), training=training)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_drops_nothing(kind):
    """A pool reads the values of an activation, as if there was no dropout."""
    rank = int(kind[-2]) if kind.endswith("d") else 1
    conv, pool = {"type": f"Conv{rank}d", "out_channels": 4, "kernel_size": 3}, {"type": f"MaxPool{rank}d"}
    drop, pool = {"type": kind, "p": 0.5}, pool | {"kernel_size": 2}
    shape = [4, *[6] * rank]
    with_drop, without = (
        mf.predict(mf.plan(chain(conv, "ReLU", *between, pool, shape=shape, init="kaiming")), training=False).nodes
        for between in ([drop], [])
    )
    found = [node.to_dict() | {"path": ""} for node in with_drop if node.type != kind]
    assert found == [node.to_dict() | {"path": ""} for node in without]


@pytest.mark.parametrize("kind", ["Dropout1d", "AlphaDropout", "FeatureAlphaDropout"])
def test_channels(kind):
    check(chain(CONV, "ReLU", {"type": kind, "p": 0.3}, CONV, shape=[32, 9], init="kaiming"))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_what_is_dropped_always(kind):
    rank = int(kind[-2]) if kind.endswith("d") else 1
    plan = mf.plan(chain({"type": kind, "p": 1}, shape=[4, *[3] * rank], init="kaiming"))
    prediction = mf.predict(plan)
    assert prediction.nodes[1].signal.second == prediction.node("input").gradient.energy == 0
    assert mf.predict(plan, training=False).nodes[1].signal.second == pytest.approx(1.0)


@pytest.mark.parametrize("p", [0.1, 0.3])
def test_alpha_dropout_brings_examples_nearer(p):
    """What is put in has the same energy in all examples. Spreads and means as in 1,000 draws of 12 layers of GELU."""
    drop = {"type": "AlphaDropout", "p": p}
    init = {"scheme": "lecun", "distribution": "normal", "gain": "auto"}
    plan = mf.plan(chain(*[{"type": "Linear", "out_features": 32}, "GELU", drop] * 12, shape=[32], init=init))
    generator = torch.Generator().manual_seed(0)
    tensor, kept = torch.randn(1000, 16, 32, generator=generator, requires_grad=True), []
    scale = (1 - p + LEAST**2 * p * (1 - p)) ** -0.5
    for parameter in plan.parameters:
        if parameter.path.endswith("weight"):
            weight = (parameter.std or 0.0) * torch.randn(1000, 32, 32, generator=generator)
            mask = torch.rand(tensor.shape, generator=generator) > p
            tensor = scale * (torch.where(mask, torch.nn.functional.gelu(tensor @ weight), LEAST) - p * LEAST)
            tensor.retain_grad()
            kept.append(tensor)
    (tensor * torch.randn(tensor.shape, generator=generator)).sum().backward()
    nodes = [node for node in mf.predict(plan, batch_size=16).nodes if node.type == "AlphaDropout"]
    for node, drawn in zip(nodes, kept, strict=True):
        for item, values in ((node.signal, drawn.detach()), (node.gradient, drawn.grad)):
            logs = values.double().square().mean(dim=(1, 2)).log()
            assert item.spread == pytest.approx(float(logs.std()), rel=0.15)
            assert item.log_mean == pytest.approx(float(logs.mean()), abs=0.02 + 0.25 * float(logs.std()))


@pytest.mark.parametrize("kind", ["AlphaDropout", "FeatureAlphaDropout"])
def test_moments_after_alpha_dropout_as_drawn(kind):
    """After ReLU, which has a mean and a skewness; the noise of E x² over batches follows from the fourth moment."""
    shape = [8, 5] if kind.startswith("Feature") else [40]
    plan = mf.plan(chain("ReLU", {"type": kind, "p": 0.2}, shape=shape, init="kaiming"))
    signal = mf.predict(plan, batch_size=4).nodes[-1].signal
    torch.manual_seed(0)
    layer = getattr(torch.nn, kind)(0.2)
    drawn = torch.stack([layer(torch.randn(4, *shape).relu()) for _ in range(20_000)]).double()
    centred = drawn - drawn.mean()
    square = float(drawn.square().mean())
    assert signal.mean == pytest.approx(float(drawn.mean()), abs=0.005)
    assert signal.second == pytest.approx(square, rel=0.01)
    assert signal.third == pytest.approx(float((centred**3).mean()), abs=0.01)
    assert signal.tail == pytest.approx(float((drawn**4).mean()) / square**2 - 1, rel=0.03)
    noise = float(drawn.square().flatten(1).mean(dim=1).var()) / square**2
    assert signal.noise == pytest.approx(noise, rel=0.1)
