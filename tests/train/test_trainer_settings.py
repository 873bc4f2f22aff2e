"""The trainer section: what no config may give, and what no machine takes."""

from __future__ import annotations

import inspect
from typing import get_type_hints

import pytest
from lightning import Trainer

from modelforge.core.complaints import in_words
from modelforge.train import trainer_settings
from modelforge.train.trainer_settings import OWN, RESERVED, num_processes, parse_trainer
from tests.train.problems import said


def test_wrong_trainer_settings_come_all_at_once():
    problems = parse_trainer({"max_epoch": 3, "max_epochs": "3", "logger": True, "callbacks": []})[1]
    assert said(problems) == [
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
            "choose with the `callbacks` group: callbacks=early_stopping",
        ),
    ]


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
            {"gradient_clip_algorithm": "valu"},
            (
                "trainer.gradient_clip_algorithm",
                "`gradient_clip_algorithm` of Trainer must be 'norm' or 'value', but is 'valu'",
                "did you mean `value`?",
            ),
        ),
        (
            {"accumulate_grad_batches": 0},
            (
                "trainer.accumulate_grad_batches",
                "`accumulate_grad_batches` of Trainer must be at least 1, but is 0",
                "",
            ),
        ),
        (
            {"log_every_n_steps": -1},
            ("trainer.log_every_n_steps", "`log_every_n_steps` of Trainer must be at least 0, but is -1", ""),
        ),
        (
            {"compile": "yes"},
            ("trainer.compile", "`compile` of Trainer must be true or false, but is 'yes'", ""),
        ),
        (
            {"strategy": "ddp_spawn"},
            (
                "trainer.strategy",
                "there is no strategy `ddp_spawn`",
                "`trainer.strategy=ddp` starts new processes; copies of one would share its threads and its files",
            ),
        ),
        (
            {"strategy": "fsd"},
            ("trainer.strategy", "there is no strategy `fsd`", "did you mean `fsdp`?"),
        ),
        (
            {"strategy": "deepspeed"},
            (
                "trainer.strategy",
                "there is no strategy `deepspeed`",
                "known: `auto`, `ddp`, `ddp_find_unused_parameters_true`, `fsdp`",
            ),
        ),
        ({"num_nodes": 0}, ("trainer.num_nodes", "`num_nodes` of Trainer must be at least 1, but is 0", "")),
        (
            {"num_replicas": 2, "strategy": "ddp"},
            (
                "trainer.num_replicas",
                "`num_replicas` is 2, but only a sharded model has replicas",
                "write `trainer.strategy=fsdp`, or leave it out",
            ),
        ),
        (
            {"num_replicas": 2, "strategy": "fsdp", "devices": 3},
            (
                "trainer.num_replicas",
                "3 processes cannot hold 2 replicas of the model",
                "choose a divisor of the number of processes",
            ),
        ),
        (
            {"strategy": "fsdp", "precision": "64-true"},
            (
                "trainer.precision",
                "a sharded model cannot be trained in `64-true`",
                "one of 32-true, bf16-mixed, bf16-true, 16-true",
            ),
        ),
        (
            {"strategy": "fsdp", "compile": True},
            (
                "trainer.compile",
                "a sharded model cannot be compiled",
                "write `trainer.compile=false`, or `trainer.strategy=ddp`",
            ),
        ),
    ],
)
def test_trainer_settings_that_no_machine_takes(section, expected):
    assert said(parse_trainer(section)[1]) == [expected]


@pytest.mark.parametrize("devices", [1, "1", "auto", -1, [3], 4, [0, 2]], ids=repr)
def test_devices_that_some_machine_takes(devices):
    assert parse_trainer({"devices": devices})[1] == []


def test_a_config_may_give_the_arguments_of_the_trainer_but_those_reserved():
    real, ours = Trainer.__init__, trainer_settings.Trainer
    assert {*inspect.signature(ours).parameters, *RESERVED} - OWN == {*inspect.signature(real).parameters} - {"self"}
    types, expected = get_type_hints(ours), get_type_hints(real)
    # As sets: `typing` gives equal unions in the order in which some module was the first to write them.
    words = {name: {*in_words(hint).split(" or ")} for name, hint in types.items() if name not in {"return", *OWN}}
    assert words == {name: {*in_words(expected[name]).split(" or ")} for name in words}
    defaults = {name: parameter.default for name, parameter in inspect.signature(real).parameters.items()}
    ours = inspect.signature(ours).parameters.items()
    assert all(one.default == defaults[name] for name, one in ours if name not in OWN)


@pytest.mark.parametrize(
    ("section", "number"),
    [
        ({"devices": 4}, 4),
        ({"devices": [0, 2], "num_nodes": 3}, 6),
        ({"devices": "2"}, 2),
        ({"devices": "auto", "accelerator": "cpu"}, 1),
        ({"devices": "auto"}, None),
        ({"devices": -1, "accelerator": "gpu"}, None),
    ],
)
def test_the_number_of_processes_as_far_as_the_section_says_it(section, number: int | None):
    assert num_processes(section) == number
