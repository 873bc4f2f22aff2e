"""check: one config, or all that a folder offers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_one_config_that_is_fine(text):
    assert text("check", "model=rnn") == "ok: 1,459 parameters in 6 tensors, each with one rule"


def test_warnings_alone_exit_with_0(text, snapshot):
    assert text("check", "model=blocks", "init=constant") == snapshot


def test_the_warnings_of_a_folder_with_one_config_are_printed(text, tmp_path):
    (tmp_path / "config.yaml").write_text(
        "model: {input: {shape: [4]}, layers: {a: {type: Linear, out_features: 8}, act: ReLU, b: {type: Linear, "
        "out_features: 2}}}\ninit: {scheme: constant, value: 0.5}\n"
    )
    said = text("check", "--conf", str(tmp_path))
    assert "warning[MW101]" in said
    assert "1 checked: 0 ok, 1 with warnings, 0 with problems" in said
    assert "to read the warnings" not in said


def test_all_problems_of_one_config(text, snapshot):
    overrides = ["model.layers.rnn.hidden_size=wide", "+model.layers.head.hiden=3", "init.gain=-1"]
    assert text("check", *overrides, status=1) == snapshot


def test_every_combination_is_checked_without_overrides(text, snapshot):
    assert text("check", status=1) == snapshot


def test_a_problem_of_many_combinations_is_shown_once(text, snapshot):
    shown = text("check", "--all", "init=orthogonal", "init.gain=-1", status=1)
    assert shown == snapshot
    assert shown.count("error[MF022]") == 1


def test_overrides_fix_a_group(data):
    checked = data("check", "--all", "model=blocks")["checked"]
    assert [finding["overrides"] for finding in checked] == [
        ["init=constant", "model=blocks"],
        ["init=orthogonal", "model=blocks"],
    ]


def test_data(data):
    answer = data("check", status=1)
    assert not answer["ok"]
    found = {tuple(item["overrides"]): [len(item["problems"]), len(item["warnings"])] for item in answer["checked"]}
    assert found == {
        ("model=blocks", "init=constant"): [0, 1],
        ("model=blocks", "init=orthogonal"): [0, 0],
        ("model=rnn", "init=constant"): [1, 0],
        ("model=rnn", "init=orthogonal"): [0, 0],
    }
    warning = answer["checked"][0]["warnings"][0]
    assert (warning["code"], warning["place"]["file"]) == ("MW101", "conf/init/constant.yaml")


def test_experiments_are_checked_too(data, run, tmp_path):
    folder = tmp_path / "conf"
    (folder / "experiment" / "more").mkdir(parents=True)
    model = "model: {input: {shape: [4]}, layers: {head: {type: Linear, out_features: '${n}'}}}\n"
    defaults = "defaults: [_self_, {experiment: null}]\ninit: {scheme: zeros}\nn: 3\n"
    (folder / "config.yaml").write_text(defaults + model)
    (folder / "experiment/wide.yaml").write_text("# @package _global_\nn: 30\n")
    (folder / "experiment/wrong.yaml").write_text("# @package _global_\nn: many\n")
    (folder / "experiment/more/wider.yaml").write_text("# @package _global_\nn: 300\n")
    answer = data("check", "--conf", str(folder), status=1)
    assert [(item["overrides"], item["ok"]) for item in answer["checked"]] == [
        ([], True),
        (["experiment=wide"], True),
        (["experiment=wrong"], False),
        (["experiment=more/wider"], True),
    ]
    shown = run("check", "--conf", str(folder), status=1).output
    assert "= in experiment=wrong" in shown


def test_a_missing_folder(text):
    shown = text("check", "--conf", "cnf", status=1)
    assert "error[MF001]: the config folder `cnf` does not exist" in shown
    assert "did you mean `conf`?" in shown


CONF = ("--conf", str(Path(__file__).parents[2] / "conf"))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["optimizer.lr=-3"], {"optimizer.lr": "AdamW refuses its arguments: Invalid learning rate: -3.0"}),
        (
            ["seed=abc", "optimizer.lr=abc", "trainer.max_epochs=x", "init.gain=-1"],
            {
                "seed": "`seed` must be a whole number, but is 'abc'",
                "init.gain": None,
                "optimizer.lr": "`lr` of AdamW must be a number, but is 'abc'",
                "trainer.max_epochs": "`max_epochs` of Trainer must be a whole number or null, but is 'x'",
            },
        ),
        (
            ["data.batch_size=0", "num_threads=-1"],
            {
                "num_threads": "`num_threads` must be greater than 0, but is -1",
                "data.batch_size": "`batch_size` must be greater than 0, but is 0",
            },
        ),
        (["ckpt=nope.ckpt"], {"ckpt": "there is no checkpoint `nope.ckpt`"}),
        (
            ["model.layers.head.out_features=9"],
            {"model.layers.head": "the model outputs (9,), but the data has 10 classes, so it must be (10,)"},
        ),
        (
            ["model.input={shape: [32, 2], dtype: float32}"],
            {"model.input": "the model takes float32 (32, 2), but the data gives float32 (1, 8, 8)"},
        ),
    ],
)
def test_settings_of_a_training_are_checked_with_the_model(data, overrides, told):
    (finding,) = data("check", *CONF, *overrides, status=1)["checked"]
    found = {problem["path"]: problem["message"] for problem in finding["problems"]}
    assert found.keys() == told.keys()
    assert len(finding["problems"]) == len(told)
    assert all(message in (None, found[path]) for path, message in told.items())


def test_a_check_imports_no_lightning(here):
    code = (
        "import sys; from modelforge.cli.check import check; from pathlib import Path\n"
        f"assert check(Path({CONF[1]!r}), ['model=lstm'], every=False).status == 0\n"
        "assert 'modelforge.train.prepare' in sys.modules\n"
        "assert not {'lightning', 'torchmetrics', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_the_extra_it_says_so(text, monkeypatch):
    monkeypatch.setattr("modelforge.cli.check.find_spec", lambda name: None)
    assert text("check", *CONF, "optimizer.lr=-3").splitlines()[1:] == [
        "the training settings were not checked: that takes `pip install",
        "modelforge[train]`",
    ]


def test_piped_lines_end_where_their_text_does(run):
    shown = run("check", "--all", status=1).output
    assert [line for line in shown.splitlines() if line != line.rstrip()] == []


PADDED = """\
seed: 0
model:
  input: ${data.input}
  layers:
    words: {type: Embedding, num_embeddings: 300, embedding_dim: 8}
    mean: {type: Mean, dim: 1}
    head: {type: Linear, out_features: "${data.num_outputs}"}
init: {scheme: xavier}
data: {type: text_classification, path: a.csv, num_classes: 2, num_outputs: 2, padding_id: 0, context: 16,
  input: {shape: [16], dtype: int64}, task: classification}
optimizer: {type: Adam, lr: 1.0e-3}
trainer: {max_epochs: 1}
"""


@pytest.mark.parametrize("command", ["check", "show", "lint"])
def test_a_warning_that_depends_on_the_training_is_printed(text, tmp_path, command: str):
    (tmp_path / "config.yaml").write_text(PADDED)
    said = text(command, "seed=1", "--conf", str(tmp_path))
    assert "warning[MW139]: Mean at `mean` averages over steps of padding" in said
    (tmp_path / "config.yaml").write_text(PADDED.replace("optimizer:", "other:"))
    assert "MW139" not in text("show", "seed=1", "--conf", str(tmp_path))
