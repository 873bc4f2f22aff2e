"""Every registered layer keeps the same promises: schema, shapes, round trip, roles and fans, build and run."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.core.tensors import BATCH, TensorValue, Value
from modelforge.language import registry
from modelforge.language.combinators import Combinator
from modelforge.layers.signature import ALWAYS_WITHOUT
from tests.layers.rows import CASES, IDS, ROWS, Row

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

BASE = {"type", "inputs", "init"}


def config(name: str, row: Row) -> dict[str, Any]:
    """A model of one layer, after those that it needs in front."""
    inputs = {f"x{index}": {"shape": list(shape), "dtype": row.dtype} for index, shape in enumerate(row.shapes)}
    first = next(iter(row.before), None)
    before = {key: dict(value, inputs=["x0"]) if key == first else value for key, value in row.before.items()}
    layer = {"type": name, **row.args, "inputs": list(row.inputs or inputs)}
    return {"input": inputs, "layers": before | {"layer": layer}}


@cache
def parsed(name: str, index: int) -> mf.ModelSpec:
    return mf.parse(config(name, ROWS[name][index]), init={"scheme": "normal", "std": 0.1})


@cache
def planned(name: str, index: int) -> mf.Plan:
    return mf.plan(parsed(name, index))


def batch(row: Row, size: int) -> list[torch.Tensor]:
    if row.dtype == "int64":
        return [torch.randint(9, (size, *shape)) for shape in row.shapes]
    return [torch.randn(size, *shape) for shape in row.shapes]


def sized(value: Value, size: int) -> Any:
    """A planned value as the shapes and dtypes of a real batch."""
    if isinstance(value, TensorValue):
        return tuple(size if side == BATCH else side for side in value.shape), value.dtype
    return None if value is None else tuple(sized(item, size) for item in value)


def seen(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), str(value.dtype).removeprefix("torch.")
    return None if value is None else tuple(seen(item) for item in value)


def test_every_layer_has_a_row():
    assert set(registry.names()) == set(ROWS)


@pytest.mark.parametrize(("name", "index", "row"), CASES, ids=IDS)
def test_shapes_are_those_of_the_real_forward(name, index, row):
    plan = planned(name, index)
    model = mf.build(plan)
    outputs: list[Any] = []
    model.layer.register_forward_hook(lambda module, args, output: outputs.append(output))
    expected = plan.layers[len(row.before)].output
    for training in (True, False):
        model.train(training)
        for size in (2, 3):
            with torch.no_grad():
                result = model(*batch(row, size))
            assert seen(outputs.pop()) == sized(expected, size)
            assert seen(result) == sized(plan.output, size)


@pytest.mark.parametrize(("name", "index", "row"), CASES, ids=IDS)
def test_dump_and_parse_are_inverse(name, index, row):
    spec = parsed(name, index)
    again = mf.parse(spec.to_dict())
    assert again == spec
    assert again.to_dict() == spec.to_dict()
    assert mf.plan(again).to_dict() == planned(name, index).to_dict()


@pytest.mark.parametrize(("name", "index", "row"), CASES, ids=IDS)
def test_every_parameter_has_its_role_and_fans(name, index, row):
    plan = planned(name, index)
    found = {}
    for item in plan.parameters:
        fans = {(block.fan_in, block.fan_out) for block, _ in item.fills}
        assert len(fans) == 1 or item.role in ("bias", "scale")
        text = f"{item.role}"
        if item.role not in ("bias", "scale"):
            text += " {:g}→{:g}".format(*fans.pop())
        found[item.path.removeprefix("layer.")] = text + (f" x{len(item.fills)}" if len(item.fills) > 1 else "")
    assert found == dict(row.parameters)


@pytest.mark.parametrize(("name", "index", "row"), CASES, ids=IDS)
def test_blocks_cover_dimension_0_without_gaps(name, index, row):
    for item in planned(name, index).parameters:
        stop = 0
        for block, _ in item.fills:
            assert block.start == stop
            assert block.shape[1:] == item.shape[1:]
            stop = block.stop
        assert stop == (item.shape[0] if item.shape else 1)


@pytest.mark.parametrize(("name", "index", "row"), CASES, ids=IDS)
def test_a_built_layer_is_sound_and_trains(name, index, row):
    model = mf.build(planned(name, index))
    assert model.ledger.ok, str(model.ledger)
    assert [entry.path for entry in model.ledger] == [path for path, _ in model.named_parameters()]
    if row.dtype == "float32" and row.parameters and not row.before:
        output = model(*batch(row, 3))
        output.square().sum().backward()
        assert all(weight.grad is not None for weight in model.parameters() if weight.requires_grad)


# --- the schema is the constructor's signature ------------------------------------------------------------------------

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


@pytest.mark.parametrize("name", [name for name in registry.names() if registry.get(name).kind == "combinator"])
def test_a_combinator_wires_its_children(name):
    for index in range(len(ROWS[name])):
        spec = parsed(name, index).layers["layer"]
        assert isinstance(spec, Combinator)
        children = list(spec.wire())
        names = [child.name for child in children]
        assert len(set(names)) == len(names)
        for position, child in enumerate(children):
            assert set(child.reads or ()) <= {"input", *names[:position]}


@pytest.mark.parametrize("name", registry.names())
def test_every_field_is_annotated_and_every_layer_documented(name):
    spec = registry.get(name).spec
    assert spec.__doc__
    for key, field in spec.model_fields.items():
        assert field.annotation is not Any, f"{name}.{key} accepts anything"


# --- torch.nn is covered ----------------------------------------------------------------------------------------------


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
