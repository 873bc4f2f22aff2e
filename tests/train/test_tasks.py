"""Every task from config to last line, and the tests of memory that are made from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import modelforge as mf
from modelforge.core.words import digits
from modelforge.train.data.batches import Batched
from modelforge.train.data.sources.generated import Adding, Copy, Reverse
from modelforge.train.prepare import misfits
from modelforge.train.settings import parse_settings
from modelforge.train.tasks.registry import main_metric, val_metrics

SIZES = ("data.num_train=64", "data.num_val=32", "data.num_test=32")


def adding(**fields) -> Adding:
    raw = {"type": "adding", "task": "regression", "num_outputs": 1, "num_steps": 11, "num_train": 500, **fields}
    return Adding.model_validate({**raw, "input": {"shape": [raw["num_steps"], 2]}})


def copy(**fields) -> Copy:
    raw = {"type": "copy", "task": "classification", "num_outputs": 5, "num_classes": 5, "num_steps": 20, "length": 4}
    return Copy.model_validate({**raw, "input": {"shape": [20, 6]}, **fields})


def test_the_adding_problem():
    train = adding().read().train
    numbers, marks = train.inputs[..., 0], train.inputs[..., 1]
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert (marks[:, :5].sum(1) == 1).all()
    assert (marks[:, 5:].sum(1) == 1).all()
    assert np.allclose(train.targets[:, 0], (numbers * marks).sum(1))
    # the variance of a sum of two uniform numbers is 1/6; that of its estimate is below 0.02²
    assert ((train.targets - 1) ** 2).mean() == pytest.approx(1 / 6, abs=0.06)


def test_the_copying_problem():
    train = copy().read().train
    steps = train.inputs.argmax(2)
    assert (train.inputs.sum(2) == 1).all()
    assert np.array_equal(steps[:, :4], train.targets[:, -4:])
    assert set(np.unique(steps[:, :4])) == {1, 2, 3, 4}
    assert (steps[:, 15] == 5).all()
    assert not steps[:, 4:15].any()
    assert not steps[:, 16:].any()
    assert not train.targets[:, :-4].any()


def reverse(**fields) -> Reverse:
    raw = {"type": "reverse", "task": "classification", "num_outputs": 5, "vocab_size": 5, "num_steps": 6}
    tokens = {"shape": [6], "dtype": "int64"}
    return Reverse.model_validate({**raw, "num_train": 50, "input": {"source": tokens, "target": tokens}, **fields})


def test_sequences_to_be_told_backwards():
    train = reverse().read().train
    source, target = train.inputs
    assert np.array_equal(train.targets, source[:, ::-1])
    assert np.array_equal(target[:, 1:], train.targets[:, :-1])
    assert not target[:, 0].any()
    assert set(np.unique(source)) == {1, 2, 3, 4}


def test_batches_of_several_inputs():
    part = Batched(reverse().read().train)
    (source, target), told = part.__getitems__([3, 1])
    (one, _), _ = part[3]
    assert (source.shape, target.shape, told.shape) == ((2, 6),) * 3
    assert torch.equal(one, source[0])


def test_a_model_must_take_all_inputs():
    embed = {"type": "Embedding", "num_embeddings": 5, "embedding_dim": 4}
    layers = {"embed": embed, "head": {"type": "Linear", "out_features": 5}}
    plan = mf.plan(mf.parse({"input": {"shape": [6], "dtype": "int64"}, "layers": layers}, init="xavier"))
    (problem,) = misfits(plan, reverse())
    assert problem.message == "the model takes int64 (6,), but the data gives int64 (6,) and int64 (6,)"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"source": {"shap": [6]}}, "`data.input.source` has no key `shap`: did you mean `shape`?"),
        ({"sourc": {}}, "`data.input` has no key `sourc`: did you mean `source`?"),
    ],
)
def test_wrong_keys_of_several_inputs(given, told: str):
    problems = parse_settings({"data": {"type": "reverse", "input": given}})[1]
    assert told in [f"{problem.message}: {problem.hint}" for problem in problems]


def test_examples_are_a_function_of_their_seed():
    first, again, other = adding().read(), adding().read(), adding(split_seed=1).read()
    assert np.array_equal(first.test.inputs, again.test.inputs)
    assert not np.array_equal(first.test.inputs, other.test.inputs)
    assert not np.array_equal(first.test.inputs[:100], first.val.inputs[:100])


RUNS = [
    (["model=lstm", "data=adding", "data.num_steps=10", *SIZES], "r2", "test R² "),
    (
        ["model=lstm", "data=copy", "data.num_steps=25", "~model.layers.last", *SIZES],
        "accuracy",
        "test accuracy ",
    ),
    (["model=t5", "data.num_steps=5", *SIZES], "accuracy", "test accuracy "),
    (["model=autoencoder"], "mse", "test mean squared error "),
    (["data=breast_cancer"], "accuracy", "test accuracy "),
]


IDS = [f"{metric}{number}" for number, (_, metric, _) in enumerate(RUNS)]


@pytest.mark.parametrize(("overrides", "metric", "words"), RUNS, ids=IDS)
def test_a_run_of_each_task(train, capsys, overrides: list[str], metric: str, words: str):
    result = train(*overrides, "trainer.enable_progress_bar=true")
    assert result.exit_code == 0
    metrics = result.status.metrics
    assert set(metrics) == {f"val/{metric}", f"test/{metric}", "test/loss"}
    assert result.status.optimized_metric == f"val/{metric}"
    out = capsys.readouterr().out
    assert f"  val {metric} " in out
    assert out.splitlines()[-1].startswith(f"{words}{digits(metrics[f'test/{metric}'])}  ·  ")


@pytest.mark.parametrize("overrides", [run[0] for run in RUNS], ids=IDS)
def test_a_resumed_run_of_each_task_goes_on_to_the_bit(train, tmp_path: Path, overrides: list[str]):
    paths = {name: tmp_path / name / "checkpoints" / "last.ckpt" for name in ("whole", "broken")}
    whole = train(*overrides, folder="whole")
    train(*overrides, "trainer.max_epochs=1", folder="broken")
    resumed = train(*overrides, f"ckpt={paths['broken']}", folder="broken")
    assert resumed.status.metrics == whole.status.metrics
    weights = [torch.load(path, weights_only=True)["state_dict"] for path in paths.values()]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_an_lstm_learns_to_add(train):
    sizes = ["data.num_steps=4", "data.num_train=2000", "data.num_val=100", "data.num_test=100"]
    result = train("model=lstm", "data=adding", *sizes, "trainer.max_epochs=15", "optimizer.lr=0.01")
    assert result.status.metrics["test/r2"] > 0.95


def test_the_last_batch_may_hold_one_example(train):
    assert train("model=lstm", "data=adding", "data.num_steps=4", *SIZES, "data.num_train=65").exit_code == 0


@pytest.mark.parametrize(
    ("overrides", "path", "message", "hint"),
    [
        (
            ["model=lstm", "data=adding", "model.layers.head.out_features=2"],
            "model.layers.head",
            "the model puts out (2,), but the data has 1 target, so it must be (1,)",
            "end with `{type: Linear, out_features: ${data.num_outputs}}`",
        ),
        (
            ["model=lstm", "data=copy"],
            "model.layers.head",
            "the model puts out (9,), but the data has 9 classes at each of 60 steps, so it must be (60, 9)",
            "keep the steps: leave out the layer that drops them, such as `~model.layers.last`",
        ),
        (
            ["model=mlp", "data.task=autoencoding"],
            "model.layers.head",
            "the model puts out (10,), but an autoencoder gives back its input, so it must be (1, 8, 8)",
            "end with `{type: Unflatten, dim: 1, unflattened_size: [1, 8, 8]}`",
        ),
        (
            ["model=char_lstm", "model.layers.head.out_features=9"],
            "model.layers.head",
            "the model puts out (64, 9), but each of 64 tokens is followed by one of 256, so it must be (64, 256)",
            "end with `{type: Linear, out_features: ${data.num_outputs}}`",
        ),
        (
            ["model=lstm", "data=adding", "optimized_metric=val/accuracy"],
            "optimized_metric",
            "`optimized_metric` must be 'val/r2' or 'val/loss', but is 'val/accuracy'",
            "",
        ),
        (
            ["model=lstm", "data=adding", "scheduler=plateau"],
            "scheduler.monitor",
            "`monitor` must be 'val/r2' or 'val/loss', but is 'val/accuracy'",
            "for any task: `scheduler.monitor=val/loss scheduler.mode=min`",
        ),
        (
            ["model=t5", "data.input.target.shape=[9]"],
            "data.input.target",
            "a sequence has 10 tokens: `shape` must be [10] and `dtype` int64",
            "",
        ),
        (
            ["data=csv", "data.path=none.csv", "data.target=x"],
            "data.path",
            "there is no file `none.csv`",
            "`.` is there, `none.csv` in it is not",
        ),
        (
            ["data=adding", "data.input.shape=[3, 2]"],
            "data.input.shape",
            "a sequence has shape (100, 2), but `shape` is (3, 2)",
            "",
        ),
    ],
)
def test_what_does_not_fit_a_task(train, overrides, path: str, message: str, hint: str):
    (problem,) = train(*overrides).status.error
    assert (problem["path"], problem["message"], problem["hint"]) == (path, message, hint)
    assert problem["place"] is not None


@pytest.mark.parametrize(
    ("task", "metric", "better"),
    [
        ("classification", "val/accuracy", "max"),
        ("regression", "val/r2", "max"),
        ("language_modelling", "val/bits", "min"),
        ("autoencoding", "val/mse", "min"),
    ],
)
def test_what_each_task_is_judged_by(task: str, metric: str, better: str):
    assert main_metric(task) == metric
    assert val_metrics(task) == {metric: better, "val/loss": "min"}
