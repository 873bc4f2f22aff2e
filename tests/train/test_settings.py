"""Golden texts of wrong training settings: every problem, with its path and a way out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

import pytest
import torch
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException

import modelforge as mf
from modelforge.core.complaints import in_words
from modelforge.train import trainer_settings
from modelforge.train.optimizers import optimizers, parse_optimizer, parse_scheduler, schedulers
from modelforge.train.settings import parse_settings
from modelforge.train.trainer import check_trainer, complaint
from modelforge.train.trainer_settings import RESERVED, parse_trainer

DATA = {
    "type": "digits",
    "task": "classification",
    "num_classes": 10,
    "num_outputs": 10,
    "input": {"shape": [1, 8, 8]},
}


METRICS = {"val/accuracy": "max", "val/loss": "min"}


def told(problems) -> list[tuple[str, str, str]]:
    assert all(problem.code == "MF051" for problem in problems)
    return [(problem.path, problem.message, problem.hint) for problem in problems]


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
    assert told(parse_optimizer(section)[1]) == [expected]


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
    assert told(parse_scheduler(section, METRICS)[1]) == [expected]


def test_wrong_trainer_settings_come_all_at_once():
    problems = parse_trainer({"max_epoch": 3, "max_epochs": "3", "logger": True, "callbacks": []})[1]
    assert told(problems) == [
        ("trainer.max_epoch", "Trainer has no argument `max_epoch`", "did you mean `max_epochs` or `min_epochs`?"),
        ("trainer.max_epochs", "`max_epochs` of Trainer must be a whole number or null, but is '3'", ""),
        (
            "trainer.logger",
            "`logger` of Trainer is not for a config to set",
            "choose with the `logger` group: logger=csv",
        ),
        (
            "trainer.callbacks",
            "`callbacks` of Trainer is not for a config to set",
            "a config is data and cannot name code",
        ),
    ]


ONE_PROCESS = "its order of examples, its dropout and its checkpoints are those of one; several runs at once: `-m`"


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"accelerator": "gpus"}, ("trainer.accelerator", "there is no accelerator `gpus`", "did you mean `gpu`?")),
        (
            {"devices": 0},
            (
                "trainer.devices",
                "`devices` of Trainer must be at least 1, but is 0",
                "to train without a GPU: `trainer.accelerator=cpu`",
            ),
        ),
        (
            {"devices": 4},
            ("trainer.devices", "a run trains in one process, but `devices` = 4 starts 4", ONE_PROCESS),
        ),
        (
            {"devices": [0, 2]},
            ("trainer.devices", "a run trains in one process, but `devices` = [0, 2] starts 2", ONE_PROCESS),
        ),
        (
            {"num_nodes": 2},
            ("trainer.num_nodes", "a run trains in one process, but `num_nodes` = 2 starts 2", ONE_PROCESS),
        ),
    ],
)
def test_trainer_settings_that_no_machine_takes(section, expected):
    assert told(parse_trainer(section)[1]) == [expected]


@pytest.mark.parametrize("devices", [1, "1", "auto", -1, [3]], ids=repr)
def test_devices_that_some_machine_takes(devices):
    assert parse_trainer({"devices": devices})[1] == []


@pytest.mark.parametrize(
    ("section", "path", "message"),
    [
        ({"accelerator": "tpu", "devices": 1}, "trainer", "Lightning refuses these settings: Requirement 'torch_xla"),
        ({"accelerator": "cpu", "devices": -1}, "trainer.devices", "Lightning refuses this: `devices` selected with"),
        (
            {"accelerator": "cpu", "limit_train_batches": 2.5, "max_epochs": 1},
            "trainer.limit_train_batches",
            "Lightning refuses this: You have passed invalid value 2.5 for limit_train_batches",
        ),
        (
            {"accelerator": "cpu", "strategy": "foo"},
            "trainer.strategy",
            "Lightning refuses this: You selected an invalid strategy name: `strategy='foo'`",
        ),
        ({"accelerator": "cpu", "devices": "2"}, "trainer.devices", "a run trains in one process, but `devices` = '2'"),
        (
            {"accelerator": "cpu", "devices": 1, "strategy": "ddp_spawn"},
            "trainer.strategy",
            "a run trains in one process, but `strategy` = 'ddp_spawn' starts 2",
        ),
    ],
)
def test_what_lightning_refuses_is_told_in_its_words_at_the_key_that_they_name(section, path: str, message: str):
    (problem,) = check_trainer(section)
    assert problem.path == path
    assert problem.message.startswith(message)


def test_what_lightning_takes():
    assert check_trainer({"accelerator": "cpu", "devices": 1}) == []


def test_an_error_that_names_no_argument_is_no_complaint_about_one():
    assert complaint(ValueError("shapes differ"), {"devices": 1}) is None
    unknown = complaint(MisconfigurationException("you may not"), {"devices": 1})
    assert unknown is not None
    assert (unknown.path, unknown.message) == ("trainer", "Lightning refuses these settings: you may not")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"data": DATA, "seed": True}, ("seed", "`seed` must be a whole number, but is True", "")),
        ({}, ("data", "the config needs the key `data`", "add `data: ...`")),
        (
            {"data": DATA | {"batchsize": 3}},
            ("data.batchsize", "`data` has no key `batchsize`", "did you mean `batch_size`?"),
        ),
        (
            {"data": DATA | {"type": "dijits"}},
            ("data.type", "unknown data `dijits`", "did you mean `digits`?"),
        ),
        ({"data": {"num_outputs": 3}}, ("data", "`data` needs the key `type`", "add `type: ...`")),
        ({"data": 3}, ("data", "`data` must be a mapping, but is 3", "")),
        (
            {"data": DATA | {"task": "regression"}},
            ("data.task", "`task` must be 'classification' or 'autoencoding', but is 'regression'", ""),
        ),
        (
            {"data": DATA | {"num_outputs": 9}},
            ("data.num_outputs", "`num_outputs` is 9, but `num_classes` is 10", ""),
        ),
        (
            {"data": DATA | {"input": {"shape": [9, 8]}}},
            (
                "data.input.shape",
                "an image of digits has 8 x 8 pixels: `shape` must be [8, 8] or [64], with ones where they are needed, "
                "not [9, 8]",
                "",
            ),
        ),
        (
            {"data": DATA | {"num_classes": 9, "num_outputs": 9}},
            ("data.num_classes", "digits has 10 classes, but `num_classes` is 9", ""),
        ),
        (
            {"data": DATA | {"val_fraction": 0.6, "test_fraction": 0.4}},
            ("data.val_fraction", "`val_fraction` and `test_fraction` leave nothing to train on", ""),
        ),
        (
            {"data": DATA | {"val_fraction": 0.0001}},
            (
                "data.val_fraction",
                "`val_fraction` is too small: it takes 0 of 1,797 examples, and its part needs one of each class: 10",
                "",
            ),
        ),
        (
            {"data": DATA | {"test_fraction": 0.005}},
            (
                "data.test_fraction",
                "`test_fraction` is too small: it takes 9 of 1,797 examples, and its part needs one of each class: 10",
                "",
            ),
        ),
        (
            {"data": DATA | {"val_fraction": 0.5, "test_fraction": 0.495}},
            (
                "data.val_fraction",
                "`val_fraction` and `test_fraction` leave 9 of 1,797 examples to train on, "
                "and one of each class are 10",
                "",
            ),
        ),
        ({"data": DATA, "tags": "foo"}, ("tags", "`tags` must be a list, but is 'foo'", "")),
        (
            {"data": DATA | {"input": {"shape": 64}}},
            ("data.input.shape", "`shape` must be a list, but is 64", ""),
        ),
        ({"data": DATA | {"input": 64}}, ("data.input", "`input` must be a mapping, but is 64", "")),
        ({"data": DATA, "logger": {"csw": True}}, ("logger.csw", "`logger` has no key `csw`", "did you mean `csv`?")),
        (
            {"data": DATA, "optimized_metric": "acc"},
            ("optimized_metric", "`optimized_metric` must be 'val/accuracy' or 'val/loss', but is 'acc'", ""),
        ),
    ],
)
def test_wrong_settings(values, expected):
    assert told(parse_settings(values)[1]) == [expected]


def test_lists_become_the_tuples_that_torch_wants():
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
    assert told(factory.following(planned(init).parameters)[1]) == [expected]


def test_all_of_torch_optim_is_there_but_what_takes_code():
    assert {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "LBFGS", "NAdam"} <= set(optimizers())
    assert {"StepLR", "OneCycleLR", "CosineAnnealingLR", "ReduceLROnPlateau"} <= set(schedulers())
    assert not {"Optimizer", "SparseAdam", "LambdaLR", "SequentialLR", "LRScheduler"} & {*optimizers(), *schedulers()}


def test_a_config_may_give_the_arguments_of_the_trainer_but_those_reserved():
    real, ours = Trainer.__init__, trainer_settings.Trainer
    assert {*inspect.signature(ours).parameters, *RESERVED} == {*inspect.signature(real).parameters} - {"self"}
    types, expected = get_type_hints(ours), get_type_hints(real)
    # As sets: `typing` gives equal unions in the order in which some module was the first to write them.
    words = {name: {*in_words(hint).split(" or ")} for name, hint in types.items() if name != "return"}
    assert words == {name: {*in_words(expected[name]).split(" or ")} for name in words}
    defaults = {name: parameter.default for name, parameter in inspect.signature(real).parameters.items()}
    assert all(one.default == defaults[name] for name, one in inspect.signature(ours).parameters.items())
