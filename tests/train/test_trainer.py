"""What Lightning refuses of a trainer section, in its words, at its key."""

from __future__ import annotations

import shutil

import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from modelforge.train.trainer import check_trainer, complaint


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
def test_what_lightning_refuses_is_reported_in_its_words_at_its_key(section, path: str, message: str):
    (problem,) = check_trainer(section)
    assert problem.path == path
    assert problem.message.startswith(message)


def test_steps_that_are_recorded_need_a_gpu():
    (problem,) = check_trainer({"accelerator": "cpu"}, capturable=True)
    assert problem.path == "optimizer.capturable"
    assert problem.message == "`capturable` records the steps of a GPU, but the training is on the CPU"


def test_what_lightning_takes():
    assert check_trainer({"accelerator": "cpu", "devices": 1}) == []


def test_a_machine_without_a_compiler(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (problem,) = check_trainer({"accelerator": "cpu", "devices": 1, "compile": True})
    assert problem.path == "trainer.compile"
    assert problem.message == "`compile` needs a C++ compiler, but this machine has none of g++, clang++"
    assert check_trainer({"accelerator": "cpu", "devices": 1, "compile": False}) == []


def test_an_error_that_names_no_argument_is_no_complaint_about_one():
    assert complaint(ValueError("shapes differ"), {"devices": 1}) is None
    unknown = complaint(MisconfigurationException("you may not"), {"devices": 1})
    assert unknown is not None
    assert (unknown.path, unknown.message) == ("trainer", "Lightning refuses these settings: you may not")
