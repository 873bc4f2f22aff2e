"""roundtrip: module → config → module, and what must be equal then."""

from __future__ import annotations

import copy
from typing import Any

import torch
import yaml
from torch import Tensor, nn

import modelforge as mf


def roundtrip(module: nn.Module, *inputs: Tensor, twice: bool = True) -> dict[str, Any]:
    """The config, after all that it promises was looked at; `twice`: that of the built model is the same."""
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [inner.training for inner in module.modules()]
    config = mf.from_module(module, *inputs)
    assert [inner.training for inner in module.modules()] == modes
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} has changed"
    assert yaml.safe_load(str(config)) == config.to_dict()
    twin = mf.build(mf.parse(config, init={"params": {"*": "zeros"}} if [*module.parameters()] else None))
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert {name: tuple(value.shape) for name, value in twin.state_dict().items()} == shapes
    names = [name for name, _ in module.named_parameters()]
    assert sorted(name for name, _ in twin.named_parameters()) == sorted(names)
    twin.load_state_dict(module.state_dict())
    original = copy.deepcopy(module)
    with torch.no_grad():
        torch.testing.assert_close(twin.eval()(*inputs), original.eval()(*inputs))
    if twice and len(inputs) == 1:  # a model that modelforge built does not keep the names of several
        assert mf.from_module(twin, *inputs) == config
    return config.to_dict()


def layers(module: nn.Module, *inputs: Tensor) -> dict[str, Any]:
    """The layers of its config."""
    return roundtrip(module, *inputs)["layers"]
