"""Signatures as schemas: names, types and defaults of a constructor are those of the layer's fields."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from torch import nn

from modelforge.language import registry
from modelforge.layers.signature import ALWAYS_WITHOUT

BASE = {"type", "inputs", "init"}


RECURRENT = {"RNN", "GRU", "LSTM"}


DEFAULTS = {"activation": "relu"}
"""Where torch's default is a Python object, its name."""


EXTRA = {"MultiheadAttention": {"need_weights": False}}


def signature(name: str) -> dict[str, Any]:
    """Argument → default, as the constructor has them; `...` where there is none."""
    layer = registry.get(name)
    if name in RECURRENT:
        # Their own signature is (*args, **kwargs): the base class has the arguments.
        known = dict(inspect.signature(nn.RNNBase).parameters)
        defaults = {key: value.default for key, value in known.items() if key != "mode"}
        if name != "LSTM":
            del defaults["proj_size"]
        if name == "RNN":
            defaults["nonlinearity"] = "tanh"
    else:
        made = getattr(nn, name, layer.make)
        assert made is not None
        plain = made.__init__ is object.__init__ or made.__init__ is nn.Module.__init__
        known = {} if plain else inspect.signature(made).parameters
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        defaults = {key: value.default for key, value in known.items() if value.kind not in variadic}
    return {
        key: ... if default is inspect.Parameter.empty else DEFAULTS.get(key, default)
        for key, default in defaults.items()
    }


@pytest.mark.parametrize("name", [name for name in registry.names() if registry.get(name).make is not None])
def test_the_schema_is_the_signature(name):
    layer = registry.get(name)
    expected = {
        key: None if key in layer.infer else default
        for key, default in signature(name).items()
        if key not in layer.without and key not in layer.fixed
    }
    fields = {key: field for key, field in layer.spec.model_fields.items() if key not in BASE}
    found = {key: ... if field.is_required() else field.default for key, field in fields.items()}
    assert found == expected | EXTRA.get(name, {})
    assert layer.infer.keys() <= expected.keys()


@pytest.mark.parametrize("name", [name for name in registry.names() if registry.get(name).make is not None])
def test_what_a_config_cannot_set_is_an_argument(name):
    layer = registry.get(name)
    assert all(reason for reason in layer.without.values())
    own = set(layer.without) - set(ALWAYS_WITHOUT)
    assert own | set(layer.fixed) <= set(signature(name))


@pytest.mark.parametrize("name", registry.names())
def test_every_field_is_annotated_and_every_layer_documented(name):
    spec = registry.get(name).spec
    assert spec.__doc__
    for key, field in spec.model_fields.items():
        assert field.annotation is not Any, f"{name}.{key} accepts anything"
