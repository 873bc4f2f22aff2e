"""register_layer and register_initializer refuse what could not work, when it is registered."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.language import registry
from modelforge.layers.register import unregister_layer


class Own(nn.Module):
    """Does nothing."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(dim, dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"kind": "foo"}, ValueError, "`kind` of Own must be one of layer, activation, passthrough, unknown"),
        ({"kind": "combinator"}, ValueError, "must be one of"),
        ({"axes": 3}, TypeError, "must be text"),
        ({"axes": "... a ... b"}, ValueError, "once in each alternative"),
        ({"infer": {"dim": "x"}}, TypeError, "an axis or a function for `dim`"),
        ({"infer": {"nope": -1}}, ValueError, "names `nope`: its constructor takes dim"),
        ({"roles": {"w": "foo"}}, ValueError, "the role of `w`"),
        ({"name": "a b"}, ValueError, "cannot name a layer type"),
    ],
)
def test_options_that_mean_nothing(options: Any, error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        mf.register_layer(**options)(Own)
    assert "Own" not in registry.names()


@pytest.mark.parametrize("value", ["x", 3, lambda: nn.Linear(1, 1)])
def test_what_is_no_module_class(value: Any):
    with pytest.raises(TypeError, match=r"takes a subclass of nn\.Module"):
        mf.register_layer(value)


def test_roles_of_what_is_not_there():
    mf.register_layer(roles={"w": "weight", "zzz": "bias"})(Own)
    try:
        with pytest.raises(ValueError, match="zzz"):
            mf.plan(mf.parse({"input": {"shape": [4]}, "layers": {"own": {"type": "Own", "dim": 4}}}, init="xavier"))
    finally:
        unregister_layer("Own")


@pytest.mark.parametrize("name", [3, None, Own])
def test_a_scheme_needs_a_name(name: Any):
    with pytest.raises(TypeError, match="a scheme needs a name"):
        mf.register_initializer(name)


def test_a_scheme_needs_a_name_that_yaml_can_say():
    with pytest.raises(ValueError, match="cannot name a scheme"):
        mf.register_initializer("a b")
