"""check: one config, or all that a folder offers."""

from __future__ import annotations


def test_one_config_that_is_fine(text):
    assert text("check", "model=rnn") == "ok: 1,459 parameters in 6 tensors, each with one rule"


def test_warnings_alone_exit_with_0(text, snapshot):
    assert text("check", "model=blocks", "init=constant") == snapshot


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
        ("model=blocks", "init=constant"): [0, 8],
        ("model=blocks", "init=orthogonal"): [0, 1],
        ("model=rnn", "init=constant"): [1, 0],
        ("model=rnn", "init=orthogonal"): [0, 0],
    }
    warning = answer["checked"][0]["warnings"][0]
    assert (warning["code"], warning["place"]["file"]) == ("MW101", "conf/init/constant.yaml")


def test_experiments_are_checked_too(data, run, tmp_path):
    folder = tmp_path / "conf"
    (folder / "experiment").mkdir(parents=True)
    model = "model: {input: {shape: [4]}, layers: {head: {type: Linear, out_features: '${n}'}}}\n"
    defaults = "defaults: [_self_, {experiment: null}]\ninit: {scheme: zeros}\nn: 3\n"
    (folder / "config.yaml").write_text(defaults + model)
    (folder / "experiment/wide.yaml").write_text("# @package _global_\nn: 30\n")
    (folder / "experiment/wrong.yaml").write_text("# @package _global_\nn: many\n")
    answer = data("check", "--conf", str(folder), status=1)
    assert [(item["overrides"], item["ok"]) for item in answer["checked"]] == [
        ([], True),
        (["experiment=wide"], True),
        (["experiment=wrong"], False),
    ]
    shown = run("check", "--conf", str(folder), status=1).output
    assert "= in experiment=wrong" in shown


def test_a_missing_folder(text):
    shown = text("check", "--conf", "cnf", status=1)
    assert "error[MF001]: the config folder `cnf` does not exist" in shown
    assert "did you mean `conf`?" in shown
