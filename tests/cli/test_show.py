"""show: the model as a tree."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

import modelforge as mf
from modelforge.layers.register import unregister_layer
from modelforge.planning.flops import num_flops


def test_recurrent(text, snapshot):
    assert text("show", "model=rnn") == snapshot


def test_copies_take_one_line(text, snapshot):
    assert text("show", "model=blocks") == snapshot


def test_copies_that_start_differently_are_told_apart(text, snapshot):
    override = "+model.init={params: {trunk.1.expand.weight: {scheme: normal, std: 0.5}}}"
    assert text("show", "model=blocks", override) == snapshot


@pytest.mark.parametrize("width", [40, 60, 120])
def test_shapes_and_numbers_are_whole_at_any_width(run, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    shown = run("show", "model=blocks").stdout
    lines = shown.splitlines()
    assert all("(8, 32)" in line for line in lines if "expa" in line)
    assert all(whole in shown for whole in ("1,723", "0.3536", "1,656"))


def test_warnings_are_below(text):
    shown = text("show", "model=blocks", "init=constant")
    tree, _, warnings = shown.partition("warning[MW101]")
    assert "total" in tree
    assert "conf/init/constant.yaml:1" in warnings


def test_what_is_frozen_is_named(text, data):
    shown = text("show", "model=rnn", "+freeze={head.*: 3, rnn.weight_hh_l0: null}")
    size = data("show", "model=rnn")["num_parameters"]
    assert "frozen for 3 epochs: head.weight and head.bias (" in shown
    assert "frozen: rnn.weight_hh_l0 (" in shown
    assert shown.count(f" of {size:,} parameters)") == 2
    found = data("show", "model=rnn", "+freeze={head.*: 3, rnn.weight_hh_l0: null}")["frozen"]
    assert found == {"head.weight": 3, "head.bias": 3, "rnn.weight_hh_l0": None}


def test_a_glob_that_freezes_nothing_is_an_error(run):
    result = run("show", "model=rnn", "+freeze=[haed.*]", status=1)
    assert "`haed.*` matches no parameter" in result.stderr


def test_data_sums_to_the_totals(data):
    answer = data("show", "model=blocks")
    assert answer["num_parameters"] == 1723
    assert sum(layer["flops"] for layer in answer["layers"]) == answer["num_flops"]
    # Matrix products of 8 steps and, after the mean, of one: a multiplication and an addition for each weight.
    assert answer["num_flops"] == 2 * (8 * (4 * 8 + 3 * (8 * 32 + 32 * 8)) + 8 * 3)


def test_flops_of_an_lstm(data):
    answer = data("show", "model=rnn")
    assert answer["layers"][0]["flops"] == 2 * 8 * (4 * 16) * (4 + 16)


def test_a_layer_that_cannot_train_on_the_meta_device():
    """A batch norm without momentum counts batches, and meta tensors have no counts."""
    layers = {"norm": {"type": "BatchNorm1d", "momentum": None}, "head": {"type": "Linear", "out_features": 2}}
    decided = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}, init="xavier"))
    assert num_flops(decided) == {"head": 2 * 4 * 2}


def test_what_was_tried_and_failed_costs_nothing():
    class Halting(nn.Module):
        """Fails in training behind its matrix product."""

        def __init__(self) -> None:
            super().__init__()
            self.product, self.norm = nn.Linear(4, 3), nn.BatchNorm1d(3, momentum=None)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.product(x))

    mf.register_layer(Halting)
    try:
        layers = {"layer": {"type": "Halting"}}
        decided = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}, init="xavier"))
        assert num_flops(decided) == {"layer": 2 * 4 * 3}
    finally:
        unregister_layer("Halting")


def test_the_plan_prints_the_same_without_costs():
    layers = {"a": {"type": "Linear", "out_features": 2}}
    shown = str(mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}, init={"scheme": "xavier"})))
    assert shown.splitlines()[0].split() == ["layer", "type", "output", "params", "init", "std"]
    assert shown.splitlines()[-1].split() == ["total", "10"]


def test_problems_go_to_stderr(run):
    result = run("show", "model=rn", status=1)
    assert result.stdout == ""
    assert result.stderr.startswith("error[MF001]: `model` has no option `rn`")


def test_problems_as_data(data):
    answer = data("show", "model=rn", status=1)
    assert [problem["code"] for problem in answer["problems"]] == ["MF001"]


def test_predicted_signals(text, data):
    lines = text("show", "--signal", "model=rnn").splitlines()
    assert lines[0].split()[:3] == ["layer", "type", "output"]
    layers = {layer["path"]: layer["signal"] for layer in data("show", "--signal", "model=rnn")["layers"]}
    assert layers["head"]["read_by"] == "none"
    assert 0 < layers["head"]["std"] < 10


def test_memory_of_a_training_step(text, data, run):
    shown = text("show", "--memory", "--batch-size", "8", "model=rnn", "+optimizer={type: AdamW, lr: 1e-3}")
    assert "kept for backward (batch 8)" in shown
    assert "in all with AdamW" in shown
    found = data("show", "--memory", "model=rnn", "+optimizer={type: AdamW, lr: 1e-3}")
    assert found["batch"] == 32
    head = found["memory"]["head"]
    assert head["optimizer"] == 2 * head["parameters"] + 2 * 4  # two moments, and a count of steps each
    assert "choose one of --signal and --memory" in run("show", "--memory", "--signal", status=2).stderr
    assert "--batch-size is for --memory" in run("show", "--batch-size", "8", status=2).stderr


def test_a_state_that_is_not_known_is_not_counted_as_nothing(text, data):
    """LBFGS takes a step only where it can call the training again."""
    override = "+optimizer={type: LBFGS, lr: 1}"
    lines = text("show", "--memory", "model=rnn", override).splitlines()
    assert "?" in next(line for line in lines if line.startswith("total"))
    assert any(
        line.startswith("at least ") and line.endswith("without what kernels take while they run") for line in lines
    )
    assert "LBFGS: its state is not known" in lines
    assert data("show", "--memory", "model=rnn", override)["memory"]["head"]["optimizer"] is None
