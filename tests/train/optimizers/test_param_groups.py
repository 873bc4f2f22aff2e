"""`mf.param_groups`: groups for any module, as made by hand."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import modelforge as mf
from modelforge.core.errors import ForgeError

CONF = Path(__file__).parents[3] / "conf"


def by_name(groups: list[dict[str, object]], model: nn.Module) -> dict[str, list[str]]:
    paths = {id(weight): path for path, weight in model.named_parameters()}
    return {str(group["name"]): [paths[id(weight)] for weight in group["params"]] for group in groups}  # pyright: ignore  # groups are dicts of anything


def net() -> nn.Module:
    return nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def test_a_module_of_ones_own():
    model = net()
    groups = mf.param_groups(model, lr=0.1, weight_decay=0.2, no_decay=("bias", "scale", "embedding"))
    assert by_name(groups, model) == {
        "no_decay": ["0.weight", "1.bias", "2.weight", "2.bias", "3.bias"],
        "default": ["1.weight", "3.weight"],
    }
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(0.1, 0.0), (0.1, 0.2)]
    torch.optim.AdamW(groups)


def test_parts_that_are_compiled_have_the_names_of_what_was_compiled():
    model = net()
    ledger = mf.initialize(
        model, {"scheme": "mup", "base_width": 2, "width": 4, "position": "hidden", "embedding": "ones"}
    )
    alike = by_name(mf.param_groups(model, lr=0.1, weight_decay=0.2, ledger=ledger, mup=True), model)
    weights = dict(model.named_parameters())
    model[3] = torch.compile(model[3], backend="eager")
    again = mf.param_groups(model, lr=0.1, weight_decay=0.2, ledger=ledger, mup=True)
    found = {group["name"]: [id(weight) for weight in group["params"]] for group in again}
    assert found == {name: [id(weights[path]) for path in paths] for name, paths in alike.items()}


@pytest.mark.parametrize("name", ["gpt2", "vit", "lstm", "resnet_small"])
def test_a_shipped_model_has_the_groups_that_are_made_by_hand(name: str):
    plan = mf.plan(mf.load(CONF, overrides=[f"model={name}"]))
    model = mf.build(plan)
    groups = mf.param_groups(model, lr=0.1, weight_decay=0.2)
    without = {item.path for item in plan.parameters if item.role in ("bias", "scale")}
    found = by_name(groups, model)
    assert set(found["no_decay"]) == without
    assert set(found["default"]) == {item.path for item in plan.parameters} - without


def test_every_parameter_that_is_trained_is_there_once():
    model = net()
    model[0].requires_grad_(False)  # pyright: ignore[reportIndexIssue]  # a sequence
    model[3].weight = model[1].weight  # pyright: ignore  # tied
    groups = mf.param_groups(model, lr=0.1, layer_decay=0.5, groups={"2.*": {"lr": 1.0}})
    given = [id(weight) for weight in chain(*(group["params"] for group in groups))]
    assert sorted(given) == sorted({id(weight) for weight in model.parameters() if weight.requires_grad})


@pytest.mark.parametrize(("name", "others"), [("default", ["layer.weight"]), ("no_decay", ["layer.bias"])])
def test_a_group_of_the_name_of_another_stays_apart(name: str, others: list[str]):
    model = nn.Module()
    model.register_parameter(name, nn.Parameter(torch.ones(2)))
    model.add_module("layer", nn.Linear(2, 2))
    groups = mf.param_groups(model, lr=0.1, groups={name: {"lr": 9.0}})
    assert len(groups) == 3
    found = by_name(groups, model)
    assert (found[name], found[f"{name}'"]) == ([name], others)
    assert {group["name"]: group["lr"] for group in groups}[f"{name}'"] == 0.1


def test_rates_by_width_come_from_the_ledger():
    scheme = {"scheme": "mup", "width": 8, "base_width": 2}
    layers = {name: {"type": "Linear", "out_features": 8} for name in ("one", "two")}
    layers["head"] = {"type": "Linear", "out_features": 3}
    model = mf.build(mf.parse({"input": {"shape": [8]}, "layers": layers}, init=scheme))
    groups = mf.param_groups(model, lr=0.1, weight_decay=0.2, mup=True)
    assert {group["name"]: (group["lr"], group["weight_decay"]) for group in groups} == {
        "default": (0.1, 0.2),
        "no_decay": (0.1, 0.0),
        "lr x 0.25": (0.025, 0.8),
    }


def test_what_a_weight_is_computed_from_has_its_role():
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 3)), nn.LayerNorm(3))
    found = by_name(mf.param_groups(model, lr=0.1, weight_decay=0.2), model)
    assert set(found["no_decay"]) == {"0.bias", "1.weight", "1.bias"}


def test_all_that_is_wrong_at_once():
    with pytest.raises(ForgeError) as caught:
        mf.param_groups(net(), lr=0.1, no_decay=("norm",), groups={"4.*": {"lr": 1.0}}, layer_decay=1.5, mup=True)
    assert [problem.key for problem in caught.value.problems] == ["no_decay", "groups.4.*", "mup", "layer_decay"]
    with pytest.raises(ForgeError, match=r"`0\.\*` and `embedding` both cover `0\.weight`"):
        mf.param_groups(net(), lr=0.1, groups={"0.*": {"lr": 1.0}, "embedding": {"lr": 1.0}})
