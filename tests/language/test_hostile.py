"""Configs that cost too much, or hold what nothing can compute with: problems, and no more than can be read."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from pathlib import Path
from time import process_time

import pytest

import modelforge as mf
from modelforge.core.errors import MAX_PROBLEMS
from modelforge.core.quoting import MAX_MESSAGE, MAX_QUOTED

HEAD = {"head": {"type": "Linear", "out_features": 2}}


@pytest.fixture(scope="module", autouse=True)
def imported():
    """What is imported when the first model is planned counts for none."""
    mf.plan(mf.parse(model(), init="xavier"))


@contextmanager
def little_memory():
    """A gigabyte of addresses at most, above what is in use."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def told(config, **options) -> list[tuple[str, str, str]]:
    """Code, path and message of each problem, or none; within ten seconds and a gigabyte."""
    start, problems, text = process_time(), (), ""
    try:
        with little_memory():
            mf.plan(mf.parse(config, **{"init": "xavier", **options}))
    except mf.ForgeError as error:
        problems, text = error.problems, str(error)
    assert process_time() - start < 10
    assert len(text) < 200_000
    return [(problem.code, problem.key, problem.message) for problem in problems]


def model(**section):
    return {"input": {"shape": [4]}, "layers": HEAD, **section}


def nested(levels):
    value = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (model(init=nested(3_000)), ("MF060", "init", "mappings and lists are at most 150 deep, and this is deeper")),
        (
            model(init={"scheme": "constant", "value": 10**400}),
            ("MF062", "init.value", "a whole number has at most 300 digits, and this has more"),
        ),
        (
            model(layers={"head": {"type": "Linear", "out_features": 10**5_000}}),
            ("MF062", "layers.head.out_features", "a whole number has at most 300 digits, and this has more"),
        ),
        (
            model(layers={"head": "\ud800"}),
            (
                "MF062",
                "layers.head",
                "a text holds a lone surrogate, `\\ud800`, which file names and terminals cannot hold",
            ),
        ),
        (
            model(layers={"\udfff": "ReLU"}),
            ("MF062", "layers", "a text holds a lone surrogate, `\\udfff`, which file names and terminals cannot hold"),
        ),
        (
            model(layers={"a\0": "ReLU"}),
            ("MF062", "layers", "a text holds a null character, which file names and terminals cannot hold"),
        ),
        (
            model(layers={"head": "x" * 1_000_000}),
            ("MF060", "layers.head", "a text has at most 10,000 characters, and this has 1,000,000"),
        ),
        (model(args=3), ("MF014", "model.args", "`args` must be a mapping from name to default, but is 3")),
        (model(args=[1], sizes={"a": {"b": 1}}, size="a"), ("MF014", "model.args", None)),
        (model(input={"type": "x"}), ("MF014", "model.input.type", "`type` must be a mapping, but is 'x'")),
        (model(layers={"²": {"type": "Linear", "x": 1}}), ("MF016", "model.layers.²", None)),
        (model(layers={0: {"type": "Linear", "x": 1}}), ("MF013", "model.layers.0", None)),
        (
            model(input={"shape": [1] * 2_000}),
            ("MF060", "model.input.shape", "`shape` may have 63 dimensions at most, but has 2,000"),
        ),
        (
            model(input={f"i{index}": {"shape": [4]} for index in range(100_000)}),
            ("MF060", "model.input", "`input` may name 1,000 at most, but names 100,000"),
        ),
        (
            model(outputs={f"o{index}": "head" for index in range(100_000)}),
            ("MF060", "model.outputs", "`outputs` may name 1,000 at most, but names 100,000"),
        ),
        (
            model(init={"scheme": "zeros", "params": {f"p{index}": "ones" for index in range(50_000)}}),
            ("MF060", "model.init.params", "`params` may have 5,000 entries at most, but has 50,000"),
        ),
        (
            model(layers={f"l{index}": "ReLU" for index in range(100_000)}),
            ("MF060", "model.layers.l20000", "the model has more than 20,000 layers"),
        ),
        (
            model(init=dict.fromkeys(map(str, range(600_000)), 1)),
            ("MF060", "", "a config holds at most 500,000 values, and this holds more"),
        ),
    ],
)
def test_what_no_config_can_hold_is_refused(config, expected):
    code, path, message = expected
    found = told(config)[0]
    assert found[:2] == (code, path)
    assert message is None or found[2] == message


@pytest.mark.parametrize(
    "layer",
    [
        lambda index: {"type": "Linear", "out_features": 4 + index},
        lambda index: {"type": "Dropout", "p": index / 20_000},
        lambda index: {"type": "LayerNorm", "eps": 1e-5 * (1 + index)},
    ],
    ids=["Linear", "Dropout", "LayerNorm"],
)
def test_very_many_layers_that_all_differ(layer):
    found = told(model(layers={f"l{index}": layer(index) for index in range(19_999)}))
    assert found == [("MF060", "model.layers.l500", "the model has more than 500 different layers")]


def test_a_mapping_that_holds_itself_is_refused():
    block: dict = {"scheme": "normal", "std": 0.1}
    block["params"] = {"*": block}
    assert [code for code, *_ in told(model(init=block))] == ["MF060"]


def test_one_mapping_in_many_counts_as_often_as_it_is_there():
    value: dict = {"a": 1}
    for _ in range(40):
        value = {"a": value, "b": value}
    assert [code for code, *_ in told(model(init=value))] == ["MF060"]


@pytest.mark.parametrize(
    ("config", "number", "code"),
    [
        (model(layers={f"l{index}": {"type": f"Linaer{index}"} for index in range(20_000)}), 20_000, "MF010"),
        (model(layers={f"l{index}": {"type": "ReLU", "x": 1} for index in range(20_000)}), 20_000, "MF012"),
        (model(layers={f"-l{index}": "ReLU" for index in range(20_000)}), 20_000, "MF016"),
        (
            model(layers={f"l{index}": {"type": "ReLU", "inputs": f"z{index}"} for index in range(9_000)}),
            9_000,
            "MF030",
        ),
        (model(**{f"k{index}": 1 for index in range(50_000)}), 50_000, "MF015"),
        (model(init={f"k{index}": 1 for index in range(50_000)}), 50_000, "MF021"),
        (model(init={"scheme": "zeros", "params": {f"p{index}": "ones" for index in range(5_000)}}), 5_000, "MF023"),
    ],
)
def test_of_very_many_problems_the_first_are_shown(config, number, code):
    *shown, last = told(config)
    assert [found for found, *_ in shown] == [code] * MAX_PROBLEMS
    assert last == ("MF061", "", f"{number - MAX_PROBLEMS:,} more problems are not shown")


@pytest.mark.parametrize(
    "config",
    [
        model(layers={"head": {"type": "Linear" + "r" * 9_000, "out_features": 2}}),
        model(layers={"head": {"type": "Linear", "out_features": ["x" * 9_000] * 50}}),
        model(layers=["x" * 9_000] * 50),
        model(outputs={"a": "b c" * 3_000}),
        model(tie="x" * 9_000),
        model(init=["x" * 9_000] * 50),
        model(init={"scheme": "x" * 9_000}),
        model(init={"scheme": "normal", "std": "x" * 9_000}),
        model(init={"scheme": "normal", "std": 0.1, "mode" * 2_000: 1}),
        model(blocks=["x" * 9_000]),
        model(args={"a": {"b": ["x" * 9_000] * 50}}, blocks={"b": ["x y" * 3_000]}),
        model(**{"x" * 9_000: 1}),
    ],
)
def test_messages_quote_little_of_what_was_given(config):
    for _, _, message in told(config):
        assert len(message) < MAX_MESSAGE
        assert "x" * (MAX_QUOTED + 1) not in message


def test_a_name_for_a_layer_ends_somewhere():
    assert not told(model(layers={"a" * 100: {"type": "Linear", "out_features": 2}}))
    assert told(model(layers={"a" * 300: "ReLU"}))[0][2] == (
        "a layer's name has at most 100 characters, and this has 300"
    )
