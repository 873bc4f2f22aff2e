"""Containers by the paths of their parameters, and layers that cannot be in one container."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from tests.tracing.test_steps import Net, linear, refused


def test_several_values_of_one_container():
    def both(module: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        y = module.first(x)
        return y, module.second(y)

    inner = Net(both, first=linear(), second=linear())
    net = Net(lambda m, x: m.head(m.inner(x)[1]) + m.other(m.inner_first), head=linear(), inner=inner, other=linear())

    def outer(module: Any, x: Tensor) -> Tensor:
        y, z = module.inner(x)
        return module.head(z) * module.other(y)

    net = Net(outer, inner=inner, head=linear(), other=linear())
    text = refused(net)
    assert "several layers of `inner` are read outside of it: `inner.first`, `inner.second`" in text


def test_two_lists_in_turn():
    def forward(module: Any, x: Tensor) -> Tensor:
        for layer, norm in zip(module.layers, module.norms, strict=True):
            x = norm(layer(x))
        return x

    layers, norms = (nn.ModuleList([make(), make()]) for make in (linear, lambda: nn.LayerNorm(4)))
    text = refused(Net(forward, layers=layers, norms=norms))
    assert "`layers` and `norms` take turns: `norms.0` runs between layers of `layers`" in text
    assert "make one list of modules that each hold a layer of both" in text
    assert text.count("error[") == 1


def test_a_layer_between_those_of_a_list():
    def forward(module: Any, x: Tensor) -> Tensor:
        return module.layers[1](module.middle(module.layers[0](x)))

    text = refused(Net(forward, layers=nn.ModuleList([linear(), linear()]), middle=linear()))
    assert "`middle` runs between layers of `layers`" in text
    assert "put layers that follow one another into one" in text
