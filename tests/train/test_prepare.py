"""What is checked before a run: whether model, data and task fit."""

from __future__ import annotations

import shutil

import pytest
import yaml

import modelforge as mf
from modelforge.config.compose import compose
from modelforge.train.prepare import misfits, prepare
from tests.train.conftest import CONF
from tests.train.tables import csv, reverse

TABLE = ("model=mlp", "data=csv", "data.path=a.csv", "data.target=y", "data.num_features=2", "data.num_outputs=2")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            ["callbacks=pruning", "callbacks.pruning.percentile=10", "callbacks.pruning.reduction_factor=5"],
            {
                "callbacks.pruning.percentile": "it is for percentile, but `pruner` is 'median'",
                "callbacks.pruning.reduction_factor": "it is for halving and hyperband, but `pruner` is 'median'",
            },
        ),
        (
            ["callbacks=pruning", "callbacks.pruning.pruner=halving", "callbacks.pruning.warmup=3"],
            {"callbacks.pruning.warmup": "it is for median and percentile, but `pruner` is 'halving'"},
        ),
        (["callbacks=pruning", "callbacks.pruning.pruner=percentile", "callbacks.pruning.percentile=10"], {}),
        (
            [*TABLE, "data.val_path=b.csv", "data.test_path=c.csv", "data.val_fraction=0.5", "data.split_seed=7"],
            {"data.val_fraction": "`val_path` gives that part", "data.split_seed": "there is nothing to split"},
        ),
        ([*TABLE, "data.test_path=c.csv", "data.val_fraction=0.5", "data.split_seed=7"], {}),
        ([*TABLE, "data.time=day", "data.split_seed=7"], {"data.split_seed": "`time` decides on the parts"}),
        (
            [word.replace("=csv", "=hf") for word in TABLE] + ["data.test_split=test", "data.test_fraction=0.5"],
            {"data.test_fraction": "`test_split` gives that part"},
        ),
    ],
)
def test_settings_that_nothing_reads_are_named(config, overrides: list[str], told: dict[str, str]):
    found = [problem for problem in prepare(config(*overrides)).warnings if problem.code == "MW220"]
    assert {problem.key: problem.message.partition(": ")[2] for problem in found} == told


def test_a_model_must_take_all_inputs():
    embed = {"type": "Embedding", "num_embeddings": 5, "embedding_dim": 4}
    layers = {"embed": embed, "head": {"type": "Linear", "out_features": 5}}
    plan = mf.plan(mf.parse({"input": {"shape": [6], "dtype": "int64"}, "layers": layers}, init="xavier"))
    (problem,) = misfits(plan, reverse())
    assert problem.message == "the model takes int64 (6,), but the data gives int64 (6,) and int64 (6,)"
    assert problem.hint == "write `input: ${data.input}`"


def test_a_model_that_lacks_the_ids_is_shown_how_to_take_them():
    embedded = csv(target="y", num_features=2, num_outputs=2, embed={"a": 3, "b": 4})
    layers = {"head": {"type": "Linear", "out_features": 2}}
    (problem,) = misfits(mf.plan(mf.parse({"input": {"shape": [2]}, "layers": layers}, init="xavier")), embedded)
    expected = {"features": "${data.input}", "categories": {"shape": [2], "dtype": "int64"}}
    shown = problem.hint.split("`")[1]
    assert yaml.safe_load(shown.replace("${data.input}", "'${data.input}'")) == {"input": expected}
    assert problem.hint.endswith("layers read them by `inputs: features` and `inputs: categories`")


@pytest.mark.parametrize(
    ("overrides", "path", "message", "hint"),
    [
        (
            ["model=lstm", "data=adding", "model.layers.head.out_features=2"],
            "model.layers.head",
            "the model outputs (2,), but the data has 1 target, so it must be (1,)",
            "end with `{type: Linear, out_features: ${data.num_outputs}}`",
        ),
        (
            ["model=lstm", "data=copy"],
            "model.layers.head",
            "the model outputs (9,), but the data has 9 classes at each of 60 steps, so it must be (60, 9)",
            "keep the steps: leave out the layer that drops them, such as `~model.layers.last`",
        ),
        (
            ["model=mlp", "data.task=autoencoding"],
            "model.layers.head",
            "the model outputs (10,), but an autoencoder gives back its input, so it must be (1, 8, 8)",
            "end with `{type: Unflatten, dim: 1, unflattened_size: [1, 8, 8]}`",
        ),
        (
            ["model=char_lstm", "model.layers.head.out_features=9"],
            "model.layers.head",
            "the model outputs (64, 9), but each of 64 tokens is followed by one of 256, so it must be (64, 256)",
            "end with `{type: Linear, out_features: ${data.num_outputs}}`",
        ),
        (
            ["model=lstm", "data=adding", "optimized_metric=val/accuracy"],
            "optimized_metric",
            "`optimized_metric` must be 'val/r2' or 'val/loss', but is 'val/accuracy'",
            "",
        ),
        (
            ["model=lstm", "data=adding", "scheduler=plateau", "scheduler.monitor=val/accuracy"],
            "scheduler.monitor",
            "`monitor` must be 'val/r2' or 'val/loss', but is 'val/accuracy'",
            "null: the optimized metric",
        ),
        (
            ["model=mlp", "trainer.precision=16-mixed", "trainer.gradient_clip_val=1", "+optimizer.fused=true"],
            "optimizer.fused",
            "a fused optimizer unscales the gradients of `16-mixed` in its step: they cannot be clipped before",
            "leave it out, or write `trainer.precision=bf16-mixed`",
        ),
        (
            ["model=mlp", "+optimizer.capturable=true"],
            "optimizer.capturable",
            "`capturable` records the steps of a GPU, but `trainer.accelerator` is 'cpu'",
            "leave it out",
        ),
        (
            ["model=mlp", "optimizer.type=LBFGS", "trainer.accumulate_grad_batches=3"],
            "trainer.accumulate_grad_batches",
            "LBFGS evaluates a batch several times in a step, but a step has 3 batches",
            "write `trainer.accumulate_grad_batches=1`, and a larger `data.batch_size`",
        ),
        (
            ["model=mlp", "+optimizer.fused=true", "+optimizer.foreach=true"],
            "optimizer",
            "AdamW refuses its arguments: `fused` and `foreach` cannot be `True` together.",
            "",
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
            "`.` exists, but holds no `none.csv`",
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
    ("overrides", "code", "message"),
    [
        (
            ["model=cnn", "data=digits_rows"],
            "MF040",
            "Conv2d needs a (channels, height, width) input, but gets (8, 8) from model.input",
        ),
        (
            ["model.layers.head.out_features=9"],
            "MF050",
            "the model outputs (9,), but the data has 10 classes, so it must be (10,)",
        ),
        (
            ["model=lstm", "~model.layers.last"],
            "MF050",
            "the model outputs (8, 10), but the data has 10 classes, so it must be (10,)",
        ),
        (
            ["model.input={shape: [32, 2], dtype: float32}"],
            "MF050",
            "the model takes float32 (32, 2), but the data gives float32 (1, 8, 8)",
        ),
    ],
)
def test_model_and_data_must_fit(train, overrides, code, message):
    result = train(*overrides)
    assert result.exit_code == 1
    (problem,) = result.status.error
    assert (problem["code"], problem["message"]) == (code, message)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("optimizer: {lr: 0.5}\ntags: [a]\n", "sets `optimizer` and `tags` below `experiment`, where nothing reads it"),
        ("# @package _global_\noptimizer: {lr: 0.5}\n", ""),
        ("note: {lr: 0.5}\n", ""),
        ("data: /data/pictures\nlogger: /logs\n", ""),
    ],
)
def test_sections_of_an_experiment_that_lie_below_it_are_warned_of(tmp_path, text, told):
    shutil.copytree(CONF, tmp_path / "conf")
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(text)
    found = prepare(compose(tmp_path / "conf", ["experiment=mine"])).warnings
    assert [told in problem.message for problem in found] == [True] * bool(told)
    assert all(problem.hint == "begin the file with `# @package _global_`" for problem in found)


def test_what_an_interpolation_reads_below_its_group_is_read(tmp_path):
    shutil.copytree(CONF, tmp_path / "conf")
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text("optimizer: {lr: 0.5}\n")
    found = prepare(compose(tmp_path / "conf", ["experiment=mine", "optimizer.lr=${experiment.optimizer.lr}"]))
    assert (found.warnings, found.optimizer.arguments["lr"]) == ((), 0.5)
