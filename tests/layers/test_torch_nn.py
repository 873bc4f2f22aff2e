"""torch.nn is covered: each of its classes is a layer, or left out with a reason."""

from __future__ import annotations

import pytest
from torch import nn

from modelforge.language import registry


def classes() -> list[str]:
    return [
        name for name in dir(nn) if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module)
    ]


@pytest.mark.parametrize("name", classes())
def test_every_class_of_torch_is_here_or_left_out_with_a_reason(name):
    known, left_out = name in registry.names(), name in registry.LEFT_OUT
    if name == "Sequential":
        assert registry.get(name).kind == "combinator"
    assert known != left_out
    assert known or len(registry.LEFT_OUT[name]) > 10


def test_nothing_is_left_out_that_torch_does_not_have():
    registry.names()
    assert set(registry.LEFT_OUT) <= set(classes())
