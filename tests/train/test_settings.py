"""Golden texts of wrong training settings: every problem, with its path and a way out."""

from __future__ import annotations

import inspect
from typing import get_type_hints

import pytest
from lightning import Trainer

from modelforge.train.lightning_source import trainer_signature
from modelforge.train.optimizers import optimizers, parse_optimizer, parse_scheduler, schedulers
from modelforge.train.settings import parse_settings
from modelforge.train.signature import describe
from modelforge.train.trainer_settings import parse_trainer

DATA = {"type": "digits", "num_classes": 10, "input": {"shape": [1, 8, 8]}}


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
            ("scheduler.monitor", "`monitor` must be 'val/loss' or 'val/accuracy', but is 'loss'", ""),
        ),
    ],
)
def test_wrong_schedulers(section, expected):
    assert told(parse_scheduler(section)[1]) == [expected]


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


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"data": DATA, "seed": -1}, ("seed", "`seed` must be greater than or equal to 0, but is -1", "")),
        ({"data": DATA, "seed": True}, ("seed", "`seed` must be integer, but is True", "")),
        ({}, ("data", "there is no `data`", "add `data: ...`")),
        (
            {"data": DATA | {"batchsize": 3}},
            ("data.batchsize", "`data` has no `batchsize`", "did you mean `batch_size`?"),
        ),
        ({"data": DATA | {"type": "mnist"}}, ("data.type", "`type` must be 'digits', but is 'mnist'", "")),
        (
            {"data": DATA | {"input": {"shape": [9, 8]}}},
            ("data.input.shape", "an image of digits has 64 values, but (9, 8) holds 72", ""),
        ),
        (
            {"data": DATA | {"num_classes": 9}},
            ("data.num_classes", "digits has 10 classes, but `num_classes` is 9", ""),
        ),
        (
            {"data": DATA | {"val_fraction": 0.6, "test_fraction": 0.4}},
            ("data.val_fraction", "`val_fraction` and `test_fraction` leave nothing to train on", ""),
        ),
        ({"data": DATA, "logger": {"csw": True}}, ("logger.csw", "`logger` has no `csw`", "did you mean `csv`?")),
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


def test_all_of_torch_optim_is_there_but_what_takes_code():
    assert {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "LBFGS", "NAdam"} <= set(optimizers())
    assert {"StepLR", "OneCycleLR", "CosineAnnealingLR", "ReduceLROnPlateau"} <= set(schedulers())
    assert not {"Optimizer", "SparseAdam", "LambdaLR", "SequentialLR", "LRScheduler"} & {*optimizers(), *schedulers()}


def test_the_signature_of_the_trainer_is_the_one_it_has():
    """Read from its source, and compared with what importing it says."""
    real, read = Trainer.__init__, trainer_signature()
    assert list(inspect.signature(read).parameters) == list(inspect.signature(real).parameters)[1:]
    types, expected = get_type_hints(read), get_type_hints(real)
    assert {name: describe(hint) for name, hint in types.items()} == {name: describe(expected[name]) for name in types}
    assert len(types) == len(inspect.signature(read).parameters)
