"""Overrides that lead to changed values, wherever the blocks are that decide them."""

from __future__ import annotations

import pytest
import yaml

import modelforge as mf
from modelforge.signal.overrides import Setting

LINEAR = {"type": "Linear", "out_features": 16}
ACT = "Tanh"
DEEP = {"type": "Repeat", "times": 3, "layers": {"hidden": LINEAR, "act": ACT}}
GROUP = {"scheme": "xavier", "distribution": "normal", "gain": 1.0}


def solved(tmp_path, layers, group, **model):
    """The solution of a config, whose overrides must lead to its prediction."""
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump({"model": {"input": {"shape": [16]}, "layers": layers, **model}, "init": group}, sort_keys=False)
    )
    solution = mf.solve(mf.plan(mf.load(tmp_path)))
    again = mf.predict(mf.plan(mf.load(tmp_path, overrides=list(solution.overrides))))
    assert again.to_dict() == solution.after.to_dict()
    return solution


def test_one_value_for_all_is_a_field_of_the_group(tmp_path):
    solution = solved(tmp_path, {"one": LINEAR, "two": LINEAR}, {**GROUP, "gain": 2.0})
    assert solution.overrides == ("init.gain=1.0",)


def test_copies_with_one_value_have_one_glob(tmp_path):
    layers = {"first": LINEAR, "act": ACT, "deep": DEEP}
    solution = solved(tmp_path, layers, GROUP)
    assert solution.overrides == ("++model.init.params={deep.*.hidden.weight: {gain: 1.5925}}",)


def test_one_copy_of_its_own(tmp_path):
    """The first copy reads the input itself; an exact name wins over a glob."""
    (override,) = solved(tmp_path, {"deep": DEEP}, {**GROUP, "gain": 2.0}).overrides[1:]
    assert override == "++model.init.params={deep.0.hidden.weight: {gain: 1.0}}"


def test_the_values_of_the_layers_themselves_give_way(tmp_path):
    solution = solved(tmp_path, {"one": LINEAR, "act": ACT, "two": LINEAR}, {"scheme": "torch"})
    assert solution.overrides[0].startswith("init={scheme: lecun, gain: ")


@pytest.mark.parametrize("init", ["orthogonal", {"gain": 3.0}, {"scheme": "uniform", "low": -1.0, "high": 1.0}])
def test_a_layer_with_a_block_of_its_own(tmp_path, init):
    layers = {"one": LINEAR, "act": ACT, "two": {**LINEAR, "init": init}}
    solution = solved(tmp_path, layers, GROUP)
    assert [setting.key.split(".")[:3] for setting in solution.settings] == [["model", "layers", "two"]]


def test_copies_that_share_a_block_get_their_mean(tmp_path):
    """The first copy needs 1, the others 1.5925: none can have its own, as their block names no copy."""
    hidden = {**LINEAR, "init": {"gain": 2.0}}
    layers = {"deep": {"type": "Repeat", "times": 3, "layers": {"hidden": hidden, "act": ACT}}}
    solution = solved(tmp_path, layers, GROUP)
    (setting,) = solution.settings
    assert setting.key == "model.layers.deep.layers.hidden.init.params"
    assert setting.value["weight"]["gain"] == pytest.approx(1.5925 ** (2 / 3), rel=1e-4)


def test_a_copy_that_needs_no_change_counts_in_the_mean(tmp_path):
    """The first copy has the 1 that it needs."""
    hidden = {**LINEAR, "init": {"gain": 1.0}}
    layers = {"deep": {"type": "Repeat", "times": 3, "layers": {"hidden": hidden, "act": ACT}}}
    (setting,) = solved(tmp_path, layers, GROUP).settings
    assert setting.value["weight"]["gain"] == pytest.approx(1.5925 ** (2 / 3), rel=1e-4)


@pytest.mark.parametrize(
    "init",
    [
        {"gain": 2.0},
        {"gain": 1.0},
        "orthogonal",
        {"scheme": "lecun", "distribution": "uniform"},
        {"types": {"Linear": {"gain": 2.0}}},
        {"params": {"*.hidden.weight": {"gain": 2.0}}},
    ],
)
def test_copies_get_their_own_in_the_block_of_their_repeat(tmp_path, init):
    """It has all of them, so that a path below it names one copy."""
    solution = solved(tmp_path, {"deep": {**DEEP, "init": init}}, GROUP)
    (setting,) = solution.settings
    assert setting.key.startswith("model.layers.deep.init")
    assert [node.signal.second for node in solution.after.nodes if node.type == "Linear"] == pytest.approx(
        [1.0] * 3, rel=0.01
    )


def test_copies_of_a_repeat_within_a_repeat_share_its_block(tmp_path):
    """Each inner copy has a value of its own, the mean over outer copies."""
    inner = {**DEEP, "init": {"gain": 2.0}}
    layers = {"outer": {"type": "Repeat", "times": 2, "layers": {"deep": inner}}}
    (setting,) = solved(tmp_path, layers, GROUP).settings
    assert setting.key == "model.layers.outer.layers.deep.init.params"
    gains = [setting.value[f"{number}.hidden.weight"]["gain"] for number in range(3)]
    assert gains == pytest.approx([1.5925**0.5, 1.5925, 1.5925], rel=1e-4)


def test_a_model_with_a_scheme_in_one_word(tmp_path):
    solution = solved(tmp_path, {"one": LINEAR, "act": ACT, "two": LINEAR}, GROUP, init="orthogonal")
    assert [setting.key for setting in solution.settings] == ["model.init"]


def test_existing_rules_by_name_stay(tmp_path):
    layers = {"deep": DEEP}
    solution = solved(tmp_path, layers, GROUP, init={"params": {"deep.*.weight": {"mode": "fan_in"}}})
    assert all("*" not in path for setting in solution.settings for path in setting.value)


def test_as_hydra_reads_them():
    assert str(Setting("a.b", {"c.d": {"gain": 1e-05, "mode": "fan_in"}})) == "++a.b={c.d: {gain: 1e-05, mode: fan_in}}"
