"""The trainer section: what no config may give, and what no machine takes."""

from __future__ import annotations

import inspect
from typing import get_type_hints

import pytest
from lightning import Trainer

from modelforge.core.complaints import in_words
from modelforge.train import trainer_settings
from modelforge.train.trainer_settings import OWN, RESERVED, parse_trainer
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
            {"num_nodes": 2},
            ("trainer.num_nodes", "a run trains in one process, but `num_nodes` = 2 starts 2", ONE_PROCESS),
        ),
    ],
)
def test_trainer_settings_that_no_machine_takes(section, expected):
    assert said(parse_trainer(section)[1]) == [expected]


@pytest.mark.parametrize("devices", [1, "1", "auto", -1, [3]], ids=repr)
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
