"""parse: a config → ModelSpec, strict and frozen; dump is its inverse."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from omegaconf import OmegaConf

import modelforge as mf
from modelforge.config.compose import Config
from modelforge.config.origins import Origins
from modelforge.review.diff import read

LINEAR = {"type": "Linear", "out_features": 2}


def one(layer: Any, **changes: Any) -> mf.ModelSpec:
    return mf.parse({"input": {"shape": [4]}, "layers": {"layer": layer}} | changes)


def told(call: Any) -> list[tuple[str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        call()
    return [(problem.code, problem.key) for problem in caught.value.problems]


def test_the_three_ways_in_are_one():
    section = {"input": {"shape": [4]}, "layers": {"head": LINEAR}}
    config = {"model": section, "init": {"scheme": "xavier"}, "seed": 3, "trainer": {"max_epochs": 1}}
    alone = mf.parse(section, init="xavier", seed=3)
    assert mf.parse(config) == alone
    assert mf.parse(Config(config, Origins.empty(), (), {})) == alone


def test_sections_of_a_hydra_config_are_taken_as_they_are():
    cfg = OmegaConf.create(
        {
            "width": 4,
            "net": {"input": {"shape": ["${width}"]}, "layers": {"head": LINEAR}},
            "start": {"scheme": "xavier", "bias": {"scheme": "constant", "value": "${start_bias}"}},
            "start_bias": 0.5,
            "folder": "???",
        }
    )
    plain = {"input": {"shape": [4]}, "layers": {"head": LINEAR}}
    block = {"scheme": "xavier", "bias": {"scheme": "constant", "value": 0.5}}
    expected = mf.parse(plain, init=block)
    assert mf.parse(cfg.net, init=cfg.start) == expected
    cfg.model, cfg.init = "${net}", "${start}"
    assert mf.parse(cfg) == expected


def test_a_section_that_looks_like_the_model_is_named():
    with pytest.raises(mf.ForgeError) as caught:
        mf.parse({"net": {"input": {"shape": [4]}, "layers": {"head": LINEAR}}, "data": {}})
    (problem,) = caught.value.problems
    assert (problem.message, problem.hint) == (
        "there is no `model` section",
        "`net` looks like one: call `net` `model`",
    )


def test_arguments_win_over_the_config():
    config = {"model": {"input": {"shape": [4]}, "layers": {"head": LINEAR}}, "init": "xavier", "seed": 3}
    spec = mf.parse(config, init={"scheme": "normal", "std": 1.0}, seed=4)
    assert spec.default_init is not None
    assert (spec.default_init.scheme, spec.seed) == ("normal", 4)


def test_short_forms():
    assert one("ReLU").layers["layer"] == one({"type": "ReLU"}).layers["layer"]
    assert (
        one(LINEAR | {"init": "xavier"}).layers["layer"] == one(LINEAR | {"init": {"scheme": "xavier"}}).layers["layer"]
    )
    assert one(LINEAR | {"inputs": "input"}).layers["layer"].inputs == ("input",)
    assert list(one("ReLU").input) == ["input"]


def test_numbers_that_fit_are_taken_and_others_not():
    assert one({"type": "Dropout", "p": 0}).layers["layer"].arguments["p"] == 0.0
    for wrong in (2.0, "2", True, None, [2]):
        assert told(lambda wrong=wrong: one({"type": "Linear", "out_features": wrong})) == [
            ("MF014", "model.layers.layer.out_features")
        ]
    for wrong in ("0.5", True, float("inf"), float("nan")):
        assert told(lambda wrong=wrong: one({"type": "Dropout", "p": wrong})) == [("MF014", "model.layers.layer.p")]
    for wrong in (1, "true", None):
        assert told(lambda wrong=wrong: one(LINEAR | {"bias": wrong})) == [("MF014", "model.layers.layer.bias")]


def test_lists_become_tuples():
    arguments = one({"type": "Conv1d", "out_channels": 2, "kernel_size": [3]}).layers["layer"].arguments
    assert arguments["kernel_size"] == (3,)
    assert one({"type": "Mean", "dim": [1]}).layers["layer"].arguments["dim"] == (1,)


def test_all_problems_at_once_and_in_order():
    layers = {"a": "Relu", "b": {"type": "Linear"}, "c d": "ReLU", "d": {"type": "GELU", "x": 1, "y": 2}}
    config = {"model": {"input": {"shape": "x"}, "layers": layers, "extra": 1}, "init": {"scheme": "no"}, "seed": True}
    assert told(lambda: mf.parse(config)) == [
        ("MF015", "model.extra"),
        ("MF014", "model.input.shape"),
        ("MF016", "model.layers.c d"),
        ("MF020", "init.scheme"),
        ("MF014", "seed"),
    ]
    del layers["c d"]
    assert told(lambda: mf.parse({"input": {"shape": [4]}, "layers": layers})) == [
        ("MF010", "model.layers.a"),
        ("MF013", "model.layers.b"),
        ("MF012", "model.layers.d.x"),
        ("MF012", "model.layers.d.y"),
    ]


def test_parsing_does_not_touch_what_it_reads():
    config = {
        "model": {"input": {"shape": [4]}, "layers": {"head": LINEAR | {"init": {"bias": "ones"}}}},
        "init": "xavier",
    }
    before = copy.deepcopy(config)
    mf.plan(mf.parse(config))
    assert config == before


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: mf.parse(None),
            "parse takes a mapping, or a `Config` of `modelforge.config.compose`, but gets None",
        ),
        (lambda: mf.parse([]), "but gets a list"),
        (lambda: mf.parse("model=lstm"), "but gets a str; `load` takes a folder and overrides"),
        (lambda: mf.load(3), "`conf` is the path of a config folder, or None for the default one, but is 3"),
        (lambda: mf.load(overrides=None), "`overrides` is a list of overrides, such as ['model=lstm'], but is None"),
        (lambda: mf.load(overrides=[3]), "such as ['model=lstm'], but is [3]"),
        (lambda: mf.load(overrides="model=lstm"), "but is 'model=lstm': write ['model=lstm']"),
        (
            lambda: mf.diff("a", "b"),
            "diff takes a ModelSpec or a Plan, but gets a str: `modelforge.review.diff.read` plans it",
        ),
        (
            lambda: mf.diff(mf.plan(mf.parse(one(LINEAR).to_dict(), init="xavier")), None),
            "diff takes a ModelSpec or a Plan, as `parse`, `load` and `plan` give, but gets None",
        ),
        (lambda: read(3), "read takes a folder, overrides or a revision as text, but gets an int"),
    ],
)
def test_what_is_no_config_at_all_is_said_at_the_door(call, said):
    with pytest.raises(TypeError) as caught:
        call()
    assert said in str(caught.value)
