"""What Lightning refuses of a trainer section, in its words, at its key."""

from __future__ import annotations

import shutil
from typing import Any
from unittest.mock import patch

import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from modelforge.train.optimizers.optimizer import OptimizerFactory, parse_optimizer
from modelforge.train.trainer import check_trainer, complaint, size_of, substituted, with_precision


@pytest.mark.parametrize(
    ("section", "path", "message"),
    [
        ({"accelerator": "tpu", "devices": 1}, "trainer", "Lightning refuses these settings: Requirement 'torch_xla"),
        ({"accelerator": "mps"}, "trainer.accelerator", "this machine has no `mps` that torch can use"),
        ({"accelerator": "cpu", "devices": -1}, "trainer.devices", "Lightning refuses this: `devices` selected with"),
        (
            {"accelerator": "cpu", "limit_train_batches": 2.5, "max_epochs": 1},
            "trainer.limit_train_batches",
            "Lightning refuses this: You have passed invalid value 2.5 for limit_train_batches",
        ),
        (
            {"accelerator": "cpu", "devices": 10_000, "strategy": "ddp"},
            "trainer.devices",
            "`devices` is 10000, but this machine has",
        ),
        (
            {"accelerator": "cpu", "devices": 2, "num_nodes": 2},
            "trainer.num_nodes",
            "`num_nodes` is 2, but this process can start others on its own machine only",
        ),
        (
            {"accelerator": "cpu", "devices": 2, "overfit_batches": 1},
            "trainer.overfit_batches",
            "`overfit_batches` repeats the batches of one process, and here are 2",
        ),
        (
            {"accelerator": "cpu", "devices": 2, "strategy": "fsdp", "num_replicas": 3},
            "trainer.num_replicas",
            "2 processes cannot hold 3 replicas of the model",
        ),
    ],
)
def test_what_lightning_refuses_is_reported_in_its_words_at_its_key(section, path: str, message: str):
    (problem,) = check_trainer(section)
    assert problem.key == path
    assert problem.message.startswith(message)


def optimizer(kind: str, **arguments: Any) -> OptimizerFactory:
    factory, problems = parse_optimizer({"type": kind, **arguments})
    assert factory is not None, problems
    return factory


def test_an_optimizer_that_goes_by_the_loss_needs_one_process():
    """With a line search, two of them waited for each other for ever."""
    section = {"accelerator": "cpu", "devices": 2, "strategy": "ddp"}
    with patch("modelforge.train.trainer.num_cores", lambda: 2):
        (problem,) = check_trainer(section, optimizer("LBFGS"))
        assert check_trainer(section, optimizer("SGD")) == []
    assert (problem.key, problem.hint) == ("optimizer.type", "choose another, or write `trainer.devices=1`")
    assert check_trainer({**section, "devices": 1}, optimizer("LBFGS")) == []


def test_steps_that_are_recorded_need_a_gpu():
    (problem,) = check_trainer({"accelerator": "cpu"}, optimizer("Adam", capturable=True))
    assert problem.key == "optimizer.capturable"
    assert problem.message == "`capturable` records the steps of a GPU, but the training is on the CPU"


@pytest.mark.parametrize(
    ("precision", "name"), [(16, "16-mixed"), ("bf16", "bf16-mixed"), ("32", "32-true"), (64, "64-true"), (None, None)]
)
def test_old_names_of_precisions_are_taken_without_a_word(precision: int | str | None, name: str | None):
    section = {"accelerator": "cpu", "precision": precision}
    assert check_trainer(section) == []  # warnings are errors here
    assert with_precision(section)["precision"] == name


@pytest.mark.parametrize(
    ("precision", "device", "says"),
    [(16, "cpu", True), ("16-mixed", "cpu", True), ("16-mixed", "cuda", False), ("16-true", "cpu", False)],
)
def test_a_precision_that_the_device_lacks_is_said_once(precision: int | str, device: str, says: bool):
    found = [*substituted({"precision": precision}, torch.device(device))]
    assert [(problem.code, problem.key) for problem in found] == [("MW220", "trainer.precision")] * says


@pytest.mark.parametrize("strategy", ["auto", "ddp", "fsdp"])
def test_what_lightning_takes(strategy: str):
    assert check_trainer({"accelerator": "cpu", "devices": 1, "strategy": strategy}) == []


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"devices": 1}, (1, "")),
        ({"devices": 2}, (2, "ddp")),
        ({"devices": 1, "strategy": "ddp"}, (1, "ddp")),
        ({"devices": 2, "strategy": "fsdp"}, (2, "fsdp")),
    ],
)
def test_the_processes_that_a_section_means(section, expected: tuple[int, str]):
    size = size_of({"accelerator": "cpu", **section})
    assert (size.number, size.strategy) == expected
    assert size.device.type == "cpu"


def test_as_many_processes_as_were_started(monkeypatch: pytest.MonkeyPatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "here", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    (problem,) = check_trainer({"accelerator": "cpu", "devices": 1})
    assert problem.message == "torchrun started 4 processes, but `trainer.devices` x `trainer.num_nodes` is 1"
    assert problem.hint == "write `trainer.devices=4`; one process alone needs no torchrun"


def test_a_machine_without_a_compiler(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (problem,) = check_trainer({"accelerator": "cpu", "devices": 1, "compile": True})
    assert problem.key == "trainer.compile"
    assert problem.message == "`compile` needs a C++ compiler, but this machine has none of g++, clang++"
    assert check_trainer({"accelerator": "cpu", "devices": 1, "compile": False}) == []


def test_an_error_that_names_no_argument_is_no_complaint_about_one():
    assert complaint(ValueError("shapes differ"), {"devices": 1}) is None
    absent = complaint(MisconfigurationException("No supported gpu backend found!"), {"accelerator": "gpu"})
    assert absent is not None
    assert (absent.key, absent.hint) == ("trainer.accelerator", "`trainer.accelerator=auto` takes what it has")
    unknown = complaint(MisconfigurationException("you may not"), {"devices": 1})
    assert unknown is not None
    assert (unknown.path, unknown.message) == ("trainer", "Lightning refuses these settings: you may not")
