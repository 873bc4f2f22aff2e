"""from_module as a whole: its examples, both modes, and the comparison of the config with the network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from tests.tracing.test_steps import Net, linear, refused


def test_another_network_in_training():
    net = Net(lambda m, x: m.b(m.a(x)) if m.training else m.a(m.b(x)), a=linear(), b=linear())
    assert "Net is not the same network in training and in evaluation" in refused(net)


def test_no_layer():
    assert "there is no layer in it" in refused(Net(lambda m, x: x))
    assert "Linear is a layer itself, not a network of layers" in refused(linear())


def test_what_only_running_it_shows():
    def keeps(module: Any, x: Tensor) -> Tensor:
        y = kept = module.a(x)
        y += x
        return y * kept

    text = refused(Net(keeps, a=linear()))
    assert "error[MF135]: for 2 examples, the network of the config gives other outputs than the module" in text
    text = refused(Net(lambda m, x: m.a(x) * x.shape[0], a=linear()))
    assert "error[MF135]: for 4 examples, the network of the config gives other outputs than the module" in text

    def counts(module: Any, x: Tensor) -> Tensor:
        assert x.shape[0] == 2, "two at a time"
        return module.a(x)

    assert "error[MF135]: the network cannot run on 4 examples: two at a time" in refused(Net(counts, a=linear()))


def test_compiled_modules():
    text = refused(torch.compile(nn.Sequential(linear())))
    assert "a compiled module has no `forward` to follow" in text
    assert "`module._orig_mod`" in text


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "there is none"),
        ([torch.tensor(1.0)], "it has no batch: its shape is ()"),
        ([torch.zeros(0, 4)], "it has no batch: its shape is (0, 4)"),
        ([torch.zeros(2, 4), torch.zeros(3, 4)], "the batches have different sizes: 2 and 3"),
        ([torch.zeros(2, 4, dtype=torch.complex64)], "a config has no input of dtype torch.complex64"),
    ],
)
def test_examples_that_cannot_be_used(inputs, message):
    with pytest.raises(mf.ForgeError) as caught:
        mf.from_module(nn.Sequential(linear()), *inputs)
    assert message in str(caught.value)
    assert {problem.code for problem in caught.value.problems} == {"MF134"}


def test_what_is_no_module():
    with pytest.raises(TypeError, match=r"from_module takes an nn\.Module, but gets a dict"):
        mf.from_module({}, torch.zeros(1))
    with pytest.raises(TypeError, match="example inputs are tensors, but one is a tuple"):
        mf.from_module(nn.Sequential(linear()), (1, 2))


def test_nothing_is_changed_by_a_refusal():
    net = Net(lambda m, x: m.a(m.norm(x)) + 1, norm=nn.BatchNorm1d(4), a=linear())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    example = torch.randn(2, 4)
    state = torch.get_rng_state()
    refused(net, example)
    assert net.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
