"""parse: a config → ModelSpec, strict and frozen; dump is its inverse."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

import modelforge as mf
from modelforge.config import Config
from modelforge.config.origins import Origins
from modelforge.language.parse import dump, parse_init
from modelforge.review import read
from tests.models import MODELS, spec

LINEAR = {"type": "Linear", "out_features": 2}


def one(layer: Any, **changes: Any) -> mf.ModelSpec:
    return mf.parse({"input": {"shape": [4]}, "layers": {"layer": layer}} | changes)


def told(call: Any) -> list[tuple[str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        call()
    return [(problem.code, problem.path) for problem in caught.value.problems]


def test_the_three_ways_in_are_one():
    section = {"input": {"shape": [4]}, "layers": {"head": LINEAR}}
    config = {"model": section, "init": {"scheme": "xavier"}, "seed": 3, "trainer": {"max_epochs": 1}}
    alone = mf.parse(section, init="xavier", seed=3)
    assert mf.parse(config) == alone
    assert mf.parse(Config(config, Origins.empty(), (), {})) == alone


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


@pytest.mark.parametrize("name", ["shortcut", "merge"])
def test_names_that_combinators_have_themselves(name):
    parallel = {"type": "Parallel", "branches": {name: "ReLU", "b": "Tanh"}}
    for field, block in (("layers", {"type": "Residual", "layers": {name: "ReLU"}}), ("branches", parallel)):
        assert told(lambda block=block: mf.parse({"input": {"shape": [4]}, "layers": {"it": block}})) == [
            ("MF016", f"model.layers.it.{field}.{name}")
        ]
    assert mf.parse({"input": {"shape": [4]}, "layers": {name: "ReLU"}}).layers[name].type == "ReLU"


@pytest.mark.parametrize("name", ["a b", "a.b", "", "_a", "1a", "é", "a-b", "forward", "training", "ledger", "input"])
def test_names_that_cannot_be(name):
    assert told(lambda: mf.parse({"input": {"shape": [4]}, "layers": {name: "ReLU"}})) == [
        ("MF016", f"model.layers.{name}".removesuffix("."))
    ]


@pytest.mark.parametrize("name", ["a", "A1_b", "0", "12", "bias", "layers", "inputs", "init", "weight"])
def test_names_that_can_be(name):
    model = mf.build(mf.parse({"input": {"shape": [4]}, "layers": {name: LINEAR, "last": "ReLU"}}, init="xavier"))
    assert f"{name}.weight" in model.state_dict()


def test_two_names_that_become_one():
    assert told(lambda: mf.parse({"input": {"shape": [4]}, "layers": {1: "ReLU", "1": "ReLU"}})) == [
        ("MF016", "model.layers")
    ]


def test_a_spec_is_frozen():
    spec = one(LINEAR, init={"scheme": "xavier", "gain": 2.0})
    with pytest.raises(ValidationError, match="frozen"):
        spec.seed = 2
    with pytest.raises(ValidationError, match="frozen"):
        spec.layers["layer"].out_features = 3
    with pytest.raises(TypeError, match="read-only"):
        spec.layers["other"] = spec.layers["layer"]
    assert spec.init is not None
    with pytest.raises(TypeError, match="read-only"):
        spec.init.fields["gain"] = 1.0


def test_parsing_does_not_touch_what_it_reads():
    config = {
        "model": {"input": {"shape": [4]}, "layers": {"head": LINEAR | {"init": {"bias": "ones"}}}},
        "init": "xavier",
    }
    before = copy.deepcopy(config)
    mf.plan(mf.parse(config))
    assert config == before


@pytest.mark.parametrize("name", MODELS)
def test_a_spec_can_be_pickled_and_copied(name):
    original = spec(name)
    assert pickle.loads(pickle.dumps(original)) == original
    assert copy.deepcopy(original) == original
    assert mf.parse(dump(original)) == original


def test_dump_writes_what_was_written():
    layer = {"type": "BatchNorm1d", "momentum": None, "init": {"scale": {"scheme": "ones"}}}
    data = one(layer, init={"scheme": "xavier", "types": {"Linear": {"gain": 2}}, "params": {"*": "zeros"}}).to_dict()
    assert data == {
        "model": {
            "input": {"shape": [4]},
            "layers": {"layer": layer},
            "init": {"scheme": "xavier", "types": {"Linear": {"gain": 2}}, "params": {"*": {"scheme": "zeros"}}},
        },
        "seed": 0,
    }
    assert dump(one(layer).layers["layer"]) == layer


def test_specs_that_differ_are_not_equal():
    assert one(LINEAR) != one(LINEAR | {"bias": False})
    assert one(LINEAR) != mf.parse(one(LINEAR).to_dict(), seed=1)
    assert one(LINEAR) != mf.parse(one(LINEAR).to_dict(), init="xavier")
    assert one(LINEAR) != "spec"


@pytest.mark.parametrize("depth", [500, 5000])
def test_deep_nesting_is_no_traceback(depth):
    layers: dict[str, Any] = {"act": "ReLU"}
    block: dict[str, Any] = {"scheme": "xavier"}
    for _ in range(depth):
        layers = {"deeper": {"type": "Sequential", "layers": layers}}
        block = {"types": {"Linear": block}}
    assert [code for code, _ in told(lambda: mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers})))] == [
        "MF060"
    ]
    if depth == 5000:
        assert told(lambda: parse_init(block)) == [("MF060", "init")]


def test_sixty_four_levels_are_fine():
    layers: dict[str, Any] = {"head": LINEAR}
    for _ in range(64):
        layers = {"deeper": {"type": "Sequential", "layers": layers}}
    assert mf.build(mf.parse({"input": {"shape": [4]}, "layers": layers}, init="xavier")).ledger.ok


def test_parse_init_stands_alone():
    block = parse_init({"scheme": "he", "mode": "fan_out", "bias": {"scheme": "ones"}, "params": {"x": "zeros"}})
    assert (block.scheme, dict(block.fields), list(block.roles), list(block.params)) == (
        "he",
        {"mode": "fan_out"},
        ["bias"],
        ["x"],
    )
    assert parse_init(block.model_dump()) == block
    assert told(lambda: parse_init({"scheme": "hee"}, path="here")) == [("MF020", "here.scheme")]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: mf.parse(None),
            "parse takes a mapping, or what `modelforge.config.compose` returns, but gets a NoneType",
        ),
        (lambda: mf.parse([]), "but gets a list"),
        (lambda: mf.parse("model=lstm"), "but gets a str; `load` takes a folder and overrides"),
        (lambda: mf.load(3), "`conf` is the path of a config folder, or None for the default one, but is 3"),
        (lambda: mf.load(overrides=None), "`overrides` is a list of overrides, such as ['model=lstm'], but is None"),
        (lambda: mf.load(overrides=[3]), "such as ['model=lstm'], but is [3]"),
        (lambda: mf.load(overrides="model=lstm"), "but is 'model=lstm': write ['model=lstm']"),
        (
            lambda: mf.diff("a", "b"),
            "diff takes a Plan or a ModelSpec on each side, but gets a str; `modelforge.review",
        ),
        (
            lambda: mf.diff(mf.plan(mf.parse(one(LINEAR).to_dict(), init="xavier")), None),
            "diff takes a Plan or a ModelSpec on each side, but gets a NoneType",
        ),
        (lambda: read(3), "read takes a folder, overrides or a revision as text, but gets a int"),
    ],
)
def test_what_is_no_config_at_all_is_said_at_the_door(call, said):
    with pytest.raises(TypeError) as caught:
        call()
    assert said in str(caught.value)
