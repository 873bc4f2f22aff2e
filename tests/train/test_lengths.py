"""What does not go together with how long a training is, as exact text."""

from __future__ import annotations

from typing import Any

import pytest

from modelforge.core.errors import ForgeError
from modelforge.train.lengths import Lengths, out_of_step, unmeasured, without_steps
from modelforge.train.prepare import prepare

BATCH_NORM = ("+model.layers.norm=BatchNorm1d", "+model.layers.last={type: Linear, out_features: 10}")


@pytest.mark.parametrize(
    ("overrides", "path", "message", "hint"),
    [
        (
            [*BATCH_NORM, "data.batch_size=1256"], "data.batch_size",
            "the last batch of an epoch is one example (1,257 in batches of 1,256), but `model.layers.norm` "
            "needs more to be trained: Expected more than 1 value per channel when training, "
            "got input size torch.Size([1, 10])",
            "write `data.batch_size=1255`",
        ),
        (
            ["scheduler=plateau", "scheduler.monitor=val/loss", "scheduler.mode=max"], "scheduler.mode",
            "`mode` is 'max', but lower `val/loss` is better", "write `scheduler.mode=min`, or null: it follows",
        ),
        (
            ["scheduler=plateau", "scheduler.interval=step"], "scheduler.interval",
            "ReduceLROnPlateau follows validations, and there is none after each step",
            "write `scheduler.interval=epoch`",
        ),
        (
            ["scheduler=onecycle", "+scheduler.total_steps=3", "scheduler.interval=step", "trainer.max_epochs=3"],
            "scheduler.total_steps",
            "`total_steps` is 3, but the scheduler is stepped after each batch of 3 epochs",
            "then it raises an error: `scheduler.interval=epoch`",
        ),
        (
            ["+scheduler={type: CosineAnnealingLR, T_max: 3}"], "scheduler.T_max",
            "`T_max` of CosineAnnealingLR is 3, but the training has 30 epochs",
            "then the learning rate rises again: `scheduler.T_max=30`",
        ),
        (
            ["optimizer.type=Adagrad", "scheduler=onecycle"], "scheduler",
            "OneCycleLR refuses its arguments: optimizer must support momentum or beta1 with `cycle_momentum` option "
            "enabled", "",
        ),
        (
            ["scheduler=cosine", "trainer.max_epochs=-1"], "scheduler",
            "`cosine` needs the length of the training, but nothing limits it",
            "limit it: `trainer.max_epochs`, `+trainer.max_steps`; or give `scheduler.horizon`",
        ),
        (
            ["scheduler=onecycle", "trainer.max_epochs=null", "+trainer.max_time='00:01:00:00'"], "scheduler",
            "`OneCycleLR` needs the length of the training, but nothing limits it",
            "limit it: `trainer.max_epochs`, `+trainer.max_steps`",
        ),
    ],
)  # fmt: skip
def test_refused_before_training(config, overrides: list[str], path: str, message: str, hint: str):
    with pytest.raises(ForgeError) as refused:
        prepare(config("model=mlp", "data=digits", *overrides))
    (problem,) = refused.value.problems
    assert (problem.key, problem.message, problem.hint) == (path, message, hint)


def test_a_batch_of_one_that_cannot_be_evaluated_is_refused(train):
    """A batch norm without running statistics needs two examples in a validation as well: 270 in batches of 269."""
    without = "+model.layers.norm={type: BatchNorm1d, track_running_stats: false}"
    settings = (without, BATCH_NORM[1], "trainer.max_epochs=1")
    (problem,) = train(*settings, "data.batch_size=269").status.error
    assert problem["path"] == "data.batch_size"
    said = "the last batch of the validation part is one example (270 in batches of 269), but `model.layers.norm` needs"
    assert problem["message"].startswith(said)
    assert train(*BATCH_NORM, "trainer.max_epochs=1", "data.batch_size=269", folder="with").exit_code == 0


@pytest.mark.parametrize(
    ("trainer", "name", "metrics"),
    [
        ({"limit_train_batches": 1}, "limit_train_batches", "`train/r2`"),
        ({"limit_val_batches": 0.1}, "limit_val_batches", "`val/r2`"),
        ({"overfit_batches": 1, "limit_train_batches": 9}, "overfit_batches", "`train/r2` and `val/r2`"),
        ({"fast_dev_run": True}, "fast_dev_run", "`train/r2` and `val/r2`"),
        ({"limit_train_batches": 0, "limit_val_batches": 0.2}, "", ""),
        ({"limit_train_batches": 1.0, "fast_dev_run": False}, "", ""),
    ],
)
def test_limits_that_leave_one_example_for_r2(config, trainer: dict[str, Any], name: str, metrics: str):
    source = prepare(config("model=lstm", "data=adding", "data.batch_size=1")).settings.data
    problems = [*unmeasured(source, Lengths(50, 1, trainer), {"train": 50, "val": 10})]
    assert [(one.key, one.message) for one in problems] == [
        (f"trainer.{name}", f"`{name}` leaves fewer than 2 examples for {metrics}: of so few, it is NaN")
    ] * bool(name)
    assert not [*unmeasured(source, Lengths(50, 2, trainer), {"train": 50, "val": 10})]


def test_a_training_on_one_example_ends(train):
    """Of a regression; R² of it is not a number."""
    limits = ("+trainer.limit_train_batches=1", "+trainer.limit_val_batches=1", "+trainer.limit_test_batches=2")
    result = train("model=lstm", "data=adding", "data.num_train=20", "data.batch_size=1", *limits)
    assert [one["key"] for one in result.status.warnings if one["code"] == "MW226"] == [
        "trainer.limit_train_batches", "trainer.limit_val_batches"
    ]  # fmt: skip
    assert result.status.metrics["test/r2"] < 1


@pytest.mark.parametrize("size", [64, 1255, 1257, 2000])
def test_other_sizes_pass(config, size: int):
    prepare(config("model=mlp", "data=digits", *BATCH_NORM, f"data.batch_size={size}"))


@pytest.mark.parametrize("name", ["plateau", "cosine", "linear", "constant", "inverse_sqrt", "wsd", "onecycle"])
def test_shipped_schedulers_pass(config, name: str):
    prepare(config("model=mlp", "data=digits", f"scheduler={name}"))


@pytest.mark.parametrize("words", [(), ("scheduler.monitor=val/loss",), ("optimized_metric=val/loss",)])
@pytest.mark.parametrize("task", [("model=lstm", "data=adding"), ("model=mlp", "data=digits")])
def test_a_plateau_needs_no_metric_of_its_own(config, task: tuple[str, ...], words: tuple[str, ...]):
    job = prepare(config(*task, "scheduler=plateau", *words))
    assert job.scheduler is not None
    assert job.scheduler.monitor == ("val/loss" if words else job.terms.metric)


def test_a_scheduler_that_does_not_get_to_its_end_is_a_warning(config):
    job = prepare(config("model=mlp", "data=digits", "+scheduler={type: CosineAnnealingLR, T_max: 31}"))
    (problem,) = out_of_step(job.scheduler, Lengths(1257, 64, {"max_epochs": 30}))
    assert (problem.code, problem.severity, problem.key) == ("MW211", "warning", "scheduler.T_max")
    assert problem.message == "`T_max` of CosineAnnealingLR is 31, but the training ends after 30 epochs"
    assert [*out_of_step(job.scheduler, Lengths(1257, 64, {"max_epochs": 31}))] == []


def after_five(second: str) -> str:
    first = "{type: LinearLR, total_iters: 5}"
    return f"+scheduler={{type: SequentialLR, milestones: [5], schedulers: [{first}, {second}]}}"


@pytest.mark.parametrize(
    ("second", "name", "message", "hint"),
    [
        (
            "{type: CosineAnnealingLR, T_max: 5}", "T_max",
            "`T_max` of CosineAnnealingLR is 5, but its part of the training has 25 epochs",
            "then the learning rate rises again; left out, it is the length of the part",
        ),
        (
            "{type: OneCycleLR, max_lr: 0.1, total_steps: 24}", "total_steps",
            "`total_steps` of OneCycleLR is 24, but its part of the training has 25 epochs",
            "then it raises an error; left out, it is the length of the part",
        ),
    ],
)  # fmt: skip
def test_a_part_that_ends_too_early_is_refused(config, second: str, name: str, message: str, hint: str):
    with pytest.raises(ForgeError) as refused:
        prepare(config("model=mlp", "data=digits", after_five(second)))
    (problem,) = refused.value.problems
    assert (problem.key, problem.message, problem.hint) == (f"scheduler.schedulers.1.{name}", message, hint)


def test_a_part_that_does_not_get_to_its_end_is_a_warning(config):
    job = prepare(config("model=mlp", "data=digits", after_five("{type: CosineAnnealingLR, T_max: 30}")))
    (problem,) = out_of_step(job.scheduler, Lengths(1257, 64, {"max_epochs": 30}))
    assert (problem.code, problem.key) == ("MW211", "scheduler.schedulers.1.T_max")
    message = "`T_max` of CosineAnnealingLR is 30, but its part of the training ends after 25 epochs"
    assert problem.message == message
    assert [*out_of_step(job.scheduler, Lengths(1257, 64, {"max_epochs": 35}))] == []


@pytest.mark.parametrize(
    ("overrides", "name", "message"),
    [
        (
            ["scheduler=cosine", "scheduler.warmup=601"], "warmup",
            "`warmup` of cosine is 601, but the training ends after 600 steps",
        ),
        (
            ["scheduler=linear", "scheduler.interval=epoch", "scheduler.horizon=31"], "horizon",
            "`horizon` of linear is 31, but the training ends after 30 epochs",
        ),
        (
            ["scheduler=wsd", "scheduler.warmup=300", "scheduler.decay=301"], "decay",
            "`warmup` and `decay` of wsd take 601 steps, but there are 600: the decay does not reach its end",
        ),
    ],
)  # fmt: skip
def test_a_part_of_a_curve_that_is_too_long_is_a_warning(config, overrides: list[str], name: str, message: str):
    job = prepare(config("model=mlp", "data=digits", *overrides))
    (problem,) = out_of_step(job.scheduler, Lengths(1257, 64, {"max_epochs": 30}))
    assert (problem.code, problem.key, problem.message) == ("MW211", f"scheduler.{name}", message)


@pytest.mark.parametrize(
    ("trainer", "names"),
    [
        ({"max_epochs": 0}, ["max_epochs"]),
        ({"max_epochs": 3, "max_steps": 0}, ["max_steps"]),
        ({"max_epochs": 0, "limit_train_batches": 0.0}, ["max_epochs", "limit_train_batches"]),
        ({"max_epochs": 0, "fast_dev_run": True}, []),
        ({"limit_train_batches": 0, "overfit_batches": 1}, []),
        ({"max_epochs": 1, "limit_val_batches": 0, "max_steps": -1}, []),
    ],
)
def test_a_training_without_steps_is_a_warning(trainer: dict[str, Any], names: list[str]):
    found = [*without_steps(trainer)]
    assert [(problem.code, problem.key) for problem in found] == [("MW221", f"trainer.{name}") for name in names]


def test_a_config_without_steps_is_warned_of_before_it_runs(config):
    (warning,) = prepare(config("model=mlp", "data=digits", "trainer.max_epochs=0")).warnings
    assert warning.message == "`max_epochs` is 0: nothing is trained, and the model keeps its initial values"
