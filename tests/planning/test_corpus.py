"""Every config in configs/valid plans, builds, runs and survives being written and read again."""

from __future__ import annotations

import json
import pickle
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml

import modelforge as mf
from modelforge.config.compose import compose
from modelforge.core.tensors import BATCH
from modelforge.linting.lint import lint
from tests.test_errors import overrides

VALID = Path(__file__).parents[1] / "configs" / "valid"
FILES = sorted(VALID.glob("*.yaml"))
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@cache
def parsed(path: Path) -> mf.ModelSpec:
    return mf.parse(compose(path.parent, overrides(path), path.stem, shown_as="conf"))


@cache
def planned(path: Path) -> mf.Plan:
    return mf.plan(parsed(path))


def batch(plan: mf.Plan, size: int) -> list[torch.Tensor]:
    shapes = [(size, *value.shape[1:]) for value in plan.inputs.values()]
    dtypes = [value.dtype for value in plan.inputs.values()]
    made = zip(shapes, dtypes, strict=True)
    return [
        torch.randn(shape) if dtype == "float32" else torch.randint(10, shape).to(getattr(torch, dtype))
        for shape, dtype in made
    ]


@each
def test_it_builds_runs_and_trains(path):
    plan = planned(path)
    model = mf.build(plan)
    assert model.ledger.ok, str(model.ledger)
    assert {name for name, _ in model.named_parameters()} == {item.path for item in plan.parameters}
    output = model(*batch(plan, 3))
    assert tuple(output.shape) == tuple(3 if side == BATCH else side for side in plan.output.shape)
    output.square().sum().backward()


@pytest.mark.slow
@each
def test_it_is_predicted_and_linted(path):
    assert [node.path for node in mf.predict(planned(path)).unknown if not node.note] == []
    assert [problem for problem in lint(planned(path)) if problem.code.startswith("MF")] == []


@each
def test_parse_and_dump_are_inverse(path):
    spec = parsed(path)
    again = mf.parse(spec.to_dict())
    assert again == spec
    assert mf.plan(again).to_dict()["layers"] == planned(path).to_dict()["layers"]
    first, second = (dict(mf.build(one).state_dict()) for one in (spec, again))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@each
def test_a_dump_is_plain_enough_for_yaml_and_json(path):
    data = parsed(path).to_dict()
    assert yaml.safe_load(yaml.safe_dump(data, sort_keys=False)) == data
    assert json.loads(json.dumps(data)) == data
    plan = planned(path).to_dict()
    assert json.loads(json.dumps(plan)) == plan
    ledger = mf.build(planned(path)).ledger.to_dict()
    assert json.loads(json.dumps(ledger)) == ledger


@each
def test_every_rule_has_a_place(path):
    for item in planned(path).parameters:
        written = not item.rule.default
        assert (item.rule.place is not None) == written
        if item.rule.place is not None:
            assert item.rule.place.override or item.rule.place.file == f"conf/{path.name}"


@each
def test_specs_and_plans_can_be_sent_to_another_process(path):
    spec, plan = pickle.loads(pickle.dumps((parsed(path), planned(path))))
    assert spec == parsed(path)
    assert plan.to_dict() == planned(path).to_dict()
    assert mf.plan(spec).to_dict() == planned(path).to_dict()


@each
def test_the_table_sums_up(path):
    plan = planned(path)
    assert plan.num_parameters == sum(weight.numel() for weight in mf.build(plan).parameters())
    assert f"{plan.num_parameters:,}" in str(plan)


def test_every_combinator_is_used():
    used = {layer.type for path in FILES for layer in planned(path).layers}
    assert {"Sequential", "Residual", "Parallel", "Repeat", "Add", "Multiply", "Concat", "Select"} <= used
