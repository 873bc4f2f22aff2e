"""Golden texts of wrong training settings: every problem, with its path and a way out."""

from __future__ import annotations

import pytest

from modelforge.train.settings import judged_by, parse_settings
from tests.train.problems import said

DATA = {
    "type": "digits",
    "task": "classification",
    "num_classes": 10,
    "num_outputs": 10,
    "input": {"shape": [1, 8, 8]},
}

TABLE = {"type": "csv", "path": "a.csv", "target": "kind", "num_features": 3, "input": {"shape": [3]}}


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
        (
            {"data": TABLE | {"task": "classification", "num_outputs": 1}},
            ("data.task.type", "a classification needs at least 2 classes, but there is 1: for yes and no write 2", ""),
        ),
        (
            {"data": TABLE | {"task": "multilabel_classification", "num_outputs": 1}},
            (
                "data.task.type",
                "several labels are at least 2, but there is 1: that is a classification in 2 classes",
                "",
            ),
        ),
        ({"data": DATA, "tags": "foo"}, ("tags", "`tags` must be a list, but is 'foo'", "")),
        (
            {"data": DATA | {"input": {"shape": 64}}},
            ("data.input.shape", "`shape` must be a list, but is 64", ""),
        ),
        ({"data": DATA | {"input": 64}}, ("data.input", "`input` must be a mapping, but is 64", "")),
        ({"data": DATA, "logger": {"csw": True}}, ("logger.csw", "unknown logger `csw`", "did you mean `csv`?")),
        ({"data": DATA, "logger": {"csv": 3}}, ("logger.csv", "`csv` must be a mapping, but is 3", "")),
        (
            {"data": DATA, "callbacks": {"emma": {}, "swa": None}},
            ("callbacks.emma", "unknown callback `emma`", "did you mean `ema`?"),
        ),
        (
            {"data": DATA, "callbacks": {"ema": {"dekay": 0.9}}},
            ("callbacks.ema.dekay", "`callbacks.ema` has no key `dekay`", "did you mean `decay`?"),
        ),
        (
            {"data": DATA, "callbacks": {"ema": {"decay": 1.0}}},
            ("callbacks.ema.decay", "`decay` must be less than 1, but is 1.0", ""),
        ),
        ({"data": DATA, "callbacks": ["ema"]}, ("callbacks", "`callbacks` must be a mapping, but is ['ema']", "")),
        (
            {"data": DATA, "checkpoint": {"every_n_steps": 0}},
            ("checkpoint.every_n_steps", "`every_n_steps` must be greater than 0, but is 0", ""),
        ),
        (
            {"data": DATA, "checkpoint": {"every_n_steps": "often"}},
            ("checkpoint.every_n_steps", "`every_n_steps` must be a whole number, but is 'often'", ""),
        ),
        (
            {"data": DATA, "checkpoint": {"every_steps": 5}},
            ("checkpoint.every_steps", "`checkpoint` has no key `every_steps`", "did you mean `every_n_steps`?"),
        ),
        ({"data": DATA, "checkpoint": 5}, ("checkpoint", "`checkpoint` must be a mapping, but is 5", "")),
        (
            {"data": DATA, "optimized_metric": "acc"},
            ("optimized_metric", "`optimized_metric` must be 'val/accuracy' or 'val/loss', but is 'acc'", ""),
        ),
    ],
)
def test_wrong_settings(values, expected):
    assert said(parse_settings(values)[1]) == [expected]


@pytest.mark.parametrize(
    ("values", "metric", "lower"),
    [
        ({"data": DATA}, "val/accuracy", ("loss",)),
        ({"data": DATA, "metrics": {"f1": "F1Score", "far": "HammingDistance"}}, "val/accuracy", ("loss", "far")),
        ({"data": DATA | {"task": "autoencoding"}, "optimized_metric": "val/loss"}, "val/loss", ("loss", "mse")),
        ({"data": DATA, "metrics": {"f1": "F1Skore"}}, "val/accuracy", ("loss",)),
    ],
)
def test_a_metric_has_one_direction_in_the_status_of_a_run_and_in_its_checkpoints(values, metric, lower):
    assert judged_by(values) == {"optimized_metric": metric, "lower_is_better": lower}
    if (settings := parse_settings(values)[0]) is not None:
        assert {name for name, mode in settings.directions.items() if mode == "min"} == {f"val/{one}" for one in lower}
