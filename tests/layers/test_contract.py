"""Every registered layer keeps the same promises: schema, shapes, round trip, roles and fans, build and run."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.core.tensors import BATCH, TensorValue, Value
from modelforge.language import registry
from tests.layers.rows import CASES, IDS, ROWS, Row

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


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
