"""Optimizers and schedulers of torch, with checked arguments and learning rates of each initializer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.train.optimizers import optimizers, parse_optimizer, parse_scheduler, schedulers
from tests.train.problems import said

METRICS = {"val/accuracy": "max", "val/loss": "min"}


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


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"type": "OneCycleLR"}, ("scheduler", "OneCycleLR needs the argument `max_lr`", "add `max_lr: ...`")),
        (
            {"type": "LambdaLR"},
            ("scheduler.type", "unknown scheduler `LambdaLR`", "it takes a function, and a config is data"),
        ),
        (
            {"type": "StepLR", "step_size": 3, "interval": "batch"},
            ("scheduler.interval", "`interval` must be 'epoch' or 'step', but is 'batch'", ""),
        ),
        (
            {"type": "ReduceLROnPlateau"},
            ("scheduler", "ReduceLROnPlateau needs `monitor`", "add `monitor: val/loss`"),
        ),
        (
            {"type": "StepLR", "step_size": 3, "monitor": "loss"},
            ("scheduler.monitor", "`monitor` must be 'val/accuracy' or 'val/loss', but is 'loss'", ""),
        ),
    ],
)
def test_wrong_schedulers(section, expected):
    assert said(parse_scheduler(section, METRICS)[1]) == [expected]


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
    factory, more = factory.following(plan.parameters)
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
    factory, _ = factory.following(plan.parameters)
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
    factory, more = factory.following(plan.parameters)
    assert not problems + more
    return factory(mf.build(plan).named_parameters())


@pytest.mark.parametrize(
    ("section", "first"),
    [
        ({"type": "OneCycleLR", "max_lr": 0.5, "total_steps": 10}, 0.5 / 25),
        ({"type": "CyclicLR", "base_lr": 0.2, "max_lr": 0.5}, 0.2),
    ],
    ids=["OneCycleLR", "CyclicLR"],
)
def test_schedulers_with_rates_of_their_own_keep_the_ratios(section, first):
    scheduler, problems = parse_scheduler(section, METRICS)
    assert scheduler is not None
    assert not problems
    optimizer = following({"type": "AdamW", "lr": 0.1}, WIDE)
    scheduler(optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([first, first / 4])


def test_without_mup_all_learn_alike():
    factory, _ = parse_optimizer({"type": "Adam"})
    assert factory is not None
    assert factory.following(planned(WIDE).parameters) == (factory, [])
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
                "`init` must be a width-aware scheme: `mup` or `spectral`",
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
    assert said(factory.following(planned(init).parameters)[1]) == [expected]


def test_all_of_torch_optim_is_there_but_what_takes_code():
    assert {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "LBFGS", "NAdam"} <= set(optimizers())
    assert {"StepLR", "OneCycleLR", "CosineAnnealingLR", "ReduceLROnPlateau"} <= set(schedulers())
    assert not {"Optimizer", "SparseAdam", "LambdaLR", "SequentialLR", "LRScheduler"} & {*optimizers(), *schedulers()}
