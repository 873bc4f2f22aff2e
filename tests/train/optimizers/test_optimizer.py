"""Optimizers of torch, with checked arguments, groups, and learning rates of each initializer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.train.optimizers.optimizer import optimizers, parse_optimizer
from tests.train.problems import said


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"type": "AdamWW"}, ("optimizer.type", "unknown optimizer `AdamWW`", "did you mean `AdamW` or `Adam`?")),
        ({"type": "AdamW", "lrr": 1}, ("optimizer.lrr", "AdamW has no argument `lrr`", "did you mean `lr`?")),
        ({"type": "AdamW", "lr": "x"}, ("optimizer.lr", "`lr` of AdamW must be a number, but is 'x'", "")),
        ({"type": "AdamW", "lr": True}, ("optimizer.lr", "`lr` of AdamW must be a number, but is True", "")),
        (
            {"type": "AdamW", "betas": [0.9]},
            ("optimizer.betas", "`betas` of AdamW must be a list of 2 numbers, but is [0.9]", ""),
        ),
        (
            {"type": "AdamW", "foreach": 3},
            ("optimizer.foreach", "`foreach` of AdamW must be true or false or null, but is 3", ""),
        ),
        (
            {"type": "AdamW", "params": []},
            ("optimizer.params", "`params` of AdamW is not for a config to set", "they are the model's"),
        ),
        ({"type": "SGD", "lr": -1}, ("optimizer.lr", "SGD refuses its arguments: Invalid learning rate: -1.0", "")),
        (
            {"type": "AdamW", "lr": float("nan"), "weight_decay": -1.0},
            ("optimizer.lr", "AdamW refuses its arguments: Invalid learning rate: nan", ""),
        ),
        (
            {"type": "SparseAdam"},
            (
                "optimizer.type",
                "unknown optimizer `SparseAdam`",
                "it takes sparse gradients only, and no layer here makes them",
            ),
        ),
        (
            {"type": "AdamW", "mup": "yes"},
            ("optimizer.mup", "`mup` must be true or false, but is 'yes'", ""),
        ),
        ({"lr": 1}, ("optimizer", "this optimizer has no `type`", "add `type: ...`")),
        (None, ("optimizer", "`optimizer` must be a mapping with a `type`, but is None", "")),
    ],
)
def test_wrong_optimizers(section, expected):
    assert said(parse_optimizer(section)[1]) == [expected]


def test_lists_become_the_tuples_that_torch_takes():
    factory, problems = parse_optimizer({"type": "AdamW", "lr": 1, "betas": [0.8, 0.9]})
    assert not problems
    assert factory is not None
    assert factory.arguments == {"lr": 1, "betas": (0.8, 0.9)}


WIDE = {"scheme": "mup", "width": 128, "base_width": 32}


def planned(init: Mapping[str, Any]) -> mf.Plan:
    names = ("one", "two")
    layers = {name: {"type": "Linear", "out_features": 128} for name in names} | {
        "head": {"type": "Linear", "out_features": 3}
    }
    return mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers}, init=init))


@pytest.mark.parametrize("given", [{"lr": 0.1}, {}])
def test_learning_rates_follow_the_initializers(given):
    factory, problems = parse_optimizer({"type": "Adam", "mup": True, **given})
    assert factory is not None
    plan = planned(WIDE)
    factory, more = factory.grouped(plan)
    assert not problems + more
    model = mf.build(plan)
    groups = factory(model.named_parameters()).param_groups
    lr = given.get("lr", 1e-3)
    rates = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    assert {path: rates[id(weight)] for path, weight in model.named_parameters()} == {
        "one.weight": lr,
        "one.bias": lr,
        "two.weight": lr / 4,
        "two.bias": lr,
        "head.weight": lr / 4,
        "head.bias": lr,
    }


@pytest.mark.parametrize(
    ("section", "decays"),
    [
        ({"type": "AdamW", "weight_decay": 0.2}, [0.2, 0.8]),
        ({"type": "AdamW"}, [0.01, 0.04]),
        ({"type": "NAdam", "weight_decay": 0.2, "decoupled_weight_decay": True}, [0.2, 0.8]),
        # Part of a gradient that is normalised: lr · decay is not what it takes off.
        ({"type": "Adam", "weight_decay": 0.2}, [0.2, 0.2]),
        ({"type": "RMSprop", "weight_decay": 0.2}, [0.2, 0.2]),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else None,
)
def test_what_decays_with_the_learning_rate_decays_as_asked(section, decays):
    optimizer = following({**section, "lr": 0.1}, WIDE)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.1 / 4]
    assert [group["weight_decay"] for group in optimizer.param_groups] == decays


def test_sgd_decays_as_asked_too():
    optimizer = following({"type": "SGD", "lr": 0.1, "weight_decay": 0.2}, {**WIDE, "optimizer": "sgd"})
    assert [group["lr"] for group in optimizer.param_groups] == [0.1 * 4, 0.1, 0.1 / 4]
    assert [group["lr"] * group["weight_decay"] for group in optimizer.param_groups] == pytest.approx([0.02] * 3)


def test_one_step_without_gradients_shrinks_all_weights_alike():
    factory, _ = parse_optimizer({"type": "AdamW", "mup": True, "lr": 0.1, "weight_decay": 0.5})
    assert factory is not None
    plan = planned(WIDE)
    factory, _ = factory.grouped(plan)
    model = mf.build(plan)
    before = {path: weight.detach().clone() for path, weight in model.named_parameters()}
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    factory(model.named_parameters()).step()
    for path, weight in model.named_parameters():
        torch.testing.assert_close(weight.detach(), before[path] * 0.95)


def following(section: Mapping[str, Any], init: Mapping[str, Any]) -> torch.optim.Optimizer:
    """The optimizer of a model, with the learning rates that its initializers state."""
    factory, problems = parse_optimizer({**section, "mup": True})
    assert factory is not None
    plan = planned(init)
    factory, more = factory.grouped(plan)
    assert not problems + more
    return factory(mf.build(plan).named_parameters())


def test_without_mup_all_learn_alike():
    factory, _ = parse_optimizer({"type": "Adam"})
    assert factory is not None
    assert factory.grouped(planned(WIDE))[1] == []
    assert len(factory(mf.build(planned(WIDE)).named_parameters()).param_groups) == 1


@pytest.mark.parametrize(
    ("init", "section", "expected"),
    [
        (
            {"scheme": "xavier"},
            {"type": "Adam", "mup": True},
            (
                "optimizer.mup",
                "`mup` takes learning rates from the initializers, but none states any",
                "write an `init` that knows the width: `scheme: mup` or `scheme: spectral`",
            ),
        ),
        (
            WIDE,
            {"type": "SGD", "mup": True},
            (
                "optimizer.type",
                "the initializers state learning rates for adam, but the optimizer is SGD",
                "give them `optimizer: sgd`",
            ),
        ),
        (
            WIDE,
            {"type": "Muon", "mup": True},
            (
                "optimizer.type",
                "`mup` knows no learning rates for Muon",
                "choose one of Adagrad, Adam, AdamW, Adamax, NAdam, RAdam, RMSprop, SGD",
            ),
        ),
    ],
)
def test_learning_rates_that_cannot_follow(init, section, expected):
    factory, _ = parse_optimizer(section)
    assert factory is not None
    assert said(factory.grouped(planned(init))[1]) == [expected]


def test_all_of_torch_optim_is_there_but_what_takes_code():
    assert {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "LBFGS", "NAdam"} <= set(optimizers())
    assert not {"Optimizer", "SparseAdam"} & {*optimizers()}


GROUPS = {"a": {"type": "Linear", "out_features": 4}, "norm": "LayerNorm", "b": {"type": "Linear", "out_features": 2}}


def grouped(**section: Any) -> tuple[mf.Plan, torch.optim.Optimizer]:
    plan = mf.plan(mf.parse({"input": {"shape": [3]}, "layers": GROUPS}, init="xavier"))
    factory, problems = parse_optimizer({"type": "AdamW", "lr": 0.1, "weight_decay": 0.2, **section})
    assert factory is not None
    factory, more = factory.grouped(plan)
    assert not problems + more
    return plan, factory(mf.build(plan).named_parameters())


def settings(optimizer: torch.optim.Optimizer, *names: str) -> dict[str, tuple[int, ...]]:
    return {group["name"]: (len(group["params"]), *(group[name] for name in names)) for group in optimizer.param_groups}


def test_roles_without_decay_are_a_group():
    _, optimizer = grouped(no_decay=["bias", "scale"])
    assert settings(optimizer, "lr", "weight_decay") == {"default": (2, 0.1, 0.2), "no_decay": (4, 0.1, 0.0)}


def test_groups_by_glob_and_by_role():
    _, optimizer = grouped(no_decay=["bias"], groups={"b.*": {"lr": 1.0}, "scale": {"betas": [0.5, 0.6]}})
    assert settings(optimizer, "lr", "weight_decay", "betas") == {
        "default": (1, 0.1, 0.2, (0.9, 0.999)),
        "no_decay": (2, 0.1, 0.0, (0.9, 0.999)),
        "scale": (1, 0.1, 0.2, (0.5, 0.6)),
        "b.*": (1, 1.0, 0.2, (0.9, 0.999)),
        "b.*/no_decay": (1, 1.0, 0.0, (0.9, 0.999)),
    }


def test_layers_learn_by_depth():
    _, optimizer = grouped(layer_decay=0.5)
    assert settings(optimizer, "lr") == {"a": (2, 0.1 / 4), "norm": (2, 0.1 / 2), "b": (2, 0.1)}


def test_depth_width_and_groups_multiply():
    section = {"type": "AdamW", "lr": 0.1, "weight_decay": 0.2, "mup": True, "layer_decay": 0.5, "no_decay": ["bias"]}
    factory, problems = parse_optimizer({**section, "groups": {"head.*": {"lr": 0.8}}})
    assert factory is not None
    plan = planned(WIDE)
    factory, more = factory.grouped(plan)
    assert not problems + more
    options = {path: group.options for path, group in factory.groups.items()}
    assert {path: (own.get("lr"), own.get("weight_decay")) for path, own in options.items()} == {
        "one.weight": (0.025, None),
        "one.bias": (0.025, 0.0),
        "two.weight": (0.1 * 0.25 * 0.5, 0.8),
        "two.bias": (0.05, 0.0),
        "head.weight": (0.8 / 4, 0.8),
        "head.bias": (0.8, 0.0),
    }


def test_a_parameter_that_is_never_trained_is_in_no_group():
    factory, _ = parse_optimizer({"type": "SGD"})
    assert factory is not None
    factory, problems = factory.grouped(planned(WIDE), frozenset({"one.weight", "one.bias"}))
    assert not problems
    assert [*factory.groups] == ["two.weight", "two.bias", "head.weight", "head.bias"]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            {"no_decay": ["bais"]},
            [("optimizer.no_decay.0", "`no_decay` takes roles, but 'bais' is not a role", "did you mean `bias`?")],
        ),
        (
            {"no_decay": "bias"},
            [
                (
                    "optimizer.no_decay",
                    "`no_decay` must be a list of roles, but is 'bias'",
                    "write `no_decay: [bias, scale]`",
                )
            ],
        ),
        (
            {"layer_decay": 0, "groups": [1]},
            [
                (
                    "optimizer.groups",
                    "`groups` must be a mapping from roles or globs to settings, but is [1]",
                    "write `groups: {head.*: {lr: 1e-2}}`",
                ),
                (
                    "optimizer.layer_decay",
                    "`layer_decay` must be a number greater than 0 and at most 1, but is 0",
                    "",
                ),
            ],
        ),
        (
            {"groups": {"b.*": {"lr": -1}, "bias": {"lrr": 1}, "scale": {}}},
            [
                ("optimizer.groups.b.*.lr", "AdamW refuses its arguments: Invalid learning rate: -1.0", ""),
                ("optimizer.groups.bias.lrr", "AdamW has no argument `lrr`", "did you mean `lr`?"),
                (
                    "optimizer.groups.scale",
                    "a group must be a mapping with settings of AdamW, but is {}",
                    "write `{lr: 1e-4}`",
                ),
            ],
        ),
    ],
)
def test_wrong_groups(section: dict[str, Any], expected: list[tuple[str, str, str]]):
    assert said(parse_optimizer({"type": "AdamW", **section})[1]) == expected


def test_groups_that_do_not_fit_the_model():
    groups = {"one.*": {"lr": 1}, "bias": {"lr": 1}, "tow.*": {"lr": 1}, "recurrent": {"lr": 1}}
    factory, _ = parse_optimizer({"type": "AdamW", "groups": groups})
    assert factory is not None
    assert said(factory.grouped(planned(WIDE))[1]) == [
        (
            "optimizer.groups.bias",
            "`one.*` and `bias` both cover `one.bias`",
            "a parameter is in one group: narrow one of them",
        ),
        (
            "optimizer.groups.tow.*",
            "no parameter that is trained has the path `tow.*`",
            "did you mean `two.*` or `one.*`?",
        ),
        (
            "optimizer.groups.recurrent",
            "no parameter that is trained has the role `recurrent`",
            "known: `bias`, `weight`",
        ),
    ]


@pytest.mark.parametrize("kind", ["Muon", "LBFGS"])
def test_an_optimizer_that_does_not_take_the_models_parameters_is_refused_before_it_is_built(kind: str):
    factory, _ = parse_optimizer({"type": kind, "groups": {"bias": {"lr": 0.5}}})
    assert factory is not None
    (problem,) = factory.grouped(planned(WIDE))[1]
    assert problem.key == "optimizer.type"
    assert ("all parameters are one group" in problem.hint) == (kind == "LBFGS")  # Muon takes no bias in any group
    assert problem.message.startswith(f"{kind} refuses its arguments: ")


def test_an_optimizer_without_groups_says_what_asks_for_them():
    factory, problems = parse_optimizer({"type": "LBFGS", "layer_decay": 0.9, "no_decay": ["bias"]})
    assert factory is not None, problems
    _, (problem,) = factory.grouped(planned({"scheme": "torch.xavier_uniform"}))
    assert "doesn't support per-parameter options" in problem.message
    assert problem.hint == "without `optimizer.no_decay` and `optimizer.layer_decay` all parameters are one group"
    alone, _ = parse_optimizer({"type": "LBFGS"})
    assert alone is not None
    assert alone.grouped(planned({"scheme": "torch.xavier_uniform"}))[1] == []
