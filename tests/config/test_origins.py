"""From keys to places: files, overrides, interpolations."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelforge.config.compose import compose
from modelforge.config.origins import Origins
from modelforge.config.references import follow, is_interpolation
from modelforge.core.errors import Place, Problem, render


def marked(place: Place | None) -> str:
    """What a place underlines."""
    assert place is not None
    return place.source[place.column - 1 : place.column - 1 + place.length]


@pytest.fixture
def at_tree(monkeypatch, conf):
    monkeypatch.chdir(conf.parent)


@pytest.mark.parametrize(
    ("key", "part", "where", "text"),
    [
        ("model.layers.rnn.hidden_size", "key", "conf/model/lstm.yaml:6:5", "hidden_size"),
        ("model.layers.rnn.hidden_size", "value", "conf/model/lstm.yaml:6:18", "64"),
        ("model.layers.rnn.init.bias.scheme", "value", "conf/model/lstm.yaml:8:22", "gates"),
        ("model.layers.rnn", "key", "conf/model/lstm.yaml:4:3", "rnn"),
        ("model.layers.rnn", "value", "conf/model/lstm.yaml:4:3", "rnn"),
        ("model.layers.last", "value", "conf/model/lstm.yaml:11:9", "{type: Select, dim: 1, index: -1}"),
        ("model.layers.add.inputs.1", "value", "conf/model/lstm.yaml:14:19", '"rnn.1"'),
        ("model.layers.add.inputs.7", "value", "conf/model/lstm.yaml:14:13", '[rnn, "rnn.1"]'),
        ("model.layers.rnn.init.params.*.weight.scheme", "value", "conf/model/lstm.yaml:10:30", "zeros"),
        ("model.layers.rnn.units", "key", "conf/model/lstm.yaml:4:3", "rnn"),
        ("model", "value", "conf/model/lstm.yaml:2:1", "i"),
        ("init.gain", "value", "conf/init/xavier.yaml:2:7", "1e-3"),
        ("seed", "value", "conf/config.yaml:9:7", "7"),
        ("nowhere.at.all", "key", "conf/config.yaml:1:1", "d"),
        ("", "value", "conf/config.yaml:1:1", "d"),
    ],
)  # fmt: skip
def test_places(at_tree, key, part, where, text):
    place = compose("conf", ["model=lstm"]).origins.place(key, part)
    assert str(place) == where
    assert marked(place) == text
    assert place is not None
    assert place.via is None


@pytest.mark.parametrize(
    ("key", "part", "where", "via"),
    [
        ("model.input", "key", "conf/model/mlp.yaml:1:1", None),
        ("model.input", "value", "conf/model/mlp.yaml:1:8", "conf/data/digits.yaml:1:1"),
        ("model.input.dtype", "value", "conf/model/mlp.yaml:1:8", "conf/data/digits.yaml:3:10"),
        ("model.input.dtype", "key", "conf/model/mlp.yaml:1:8", "conf/data/digits.yaml:3:3"),
        ("model.input.shape", "value", "conf/model/mlp.yaml:1:8", "conf/data/digits.yaml:4:8"),
        ("model.input.shape.1", "value", "conf/model/mlp.yaml:1:8", "conf/data/digits.yaml:4:12"),
        ("model.input.name", "key", "conf/model/mlp.yaml:1:8", "conf/data/digits.yaml:1:1"),
        ("data.input.shape", "value", "conf/data/digits.yaml:2:10", "conf/data/digits.yaml:4:8"),
        ("name", "value", "conf/config.yaml:10:7", "conf/config.yaml:9:7"),
    ],
)
def test_interpolations_have_both_ends(at_tree, key, part, where, via):
    place = compose("conf").origins.place(key, part)
    assert place is not None
    assert str(place) == where
    assert (str(place.via) if place.via else None) == via


def test_the_other_end_may_be_an_override(at_tree):
    place = compose("conf", ["data.shape=[4,4]"]).origins.place("model.input.shape.0")
    assert str(place) == "conf/model/mlp.yaml:1:8"
    assert place is not None
    assert place.via == Place(override="data.shape=[4,4]")


@pytest.mark.parametrize(
    ("override", "key", "part", "where"),
    [
        ("model.layers.hidden.out_features=8", "model.layers.hidden.out_features", "value", None),
        ("model.layers.hidden.out_features=8", "model.layers.hidden.out_features", "key", "conf/model/mlp.yaml:4:26"),
        ("model.layers.hidden.out_features=8", "model.layers.hidden.type", "value", "conf/model/mlp.yaml:4:18"),
        ("+model.layers.hidden.bias=false", "model.layers.hidden.bias", "key", None),
        ("++init.gain=2", "init.gain", "value", None),
        ("+model.layers.new={type: ReLU}", "model.layers.new.type", "value", None),
        ("+model.layers.new={type: ReLU}", "model.layers.new", "key", None),
        ("model.layers.hidden={out_features: 3}", "model.layers.hidden.out_features", "value", None),
        ("model.layers.hidden={out_features: 3}", "model.layers.hidden.type", "value", "conf/model/mlp.yaml:4:18"),
        ("data.shape=[4,4]", "data.shape.1", "value", None),
        ("model.layers.0.type=Identity", "model.layers.0.type", "value", None),
        ("~model.layers.hidden", "model.layers.hidden", "value", "conf/model/mlp.yaml:2:1"),
        ("init=zeros", "init.scheme", "value", "conf/init/zeros.yaml:1:9"),
    ],
)
def test_overrides(at_tree, override, key, part, where):
    place = compose("conf", [override]).origins.place(key, part)
    assert place is not None
    assert str(place) == (where or f"override {override}")


def test_the_last_override_wins(at_tree):
    origins = compose("conf", ["init.gain=1", "init.gain=2"]).origins
    assert origins.place("init.gain") == Place(override="init.gain=2")


def test_later_files_win_but_a_refined_mapping_stays_where_it_was_made(at_tree):
    origins = compose("conf", ["experiment=wide"]).origins
    assert str(origins.place("model.layers.rnn.hidden_size")) == "conf/experiment/wide.yaml:7:20"
    assert str(origins.place("model.layers.rnn.type")) == "conf/model/lstm.yaml:5:11"
    assert str(origins.place("model.layers.rnn")) == "conf/model/lstm.yaml:4:3"
    # `_self_` comes last in config.yaml
    assert str(origins.place("seed")) == "conf/config.yaml:9:7"


def test_replaced_values_leave_nothing_behind(write):
    files = {
        "config.yaml": "defaults: [a, b]\n",
        "a.yaml": "x: {one: 1}\ny: [1, 2, 3]\nz: 5\n",
        "b.yaml": "x: null\ny: [4]\nz: ???\n",
    }
    config = compose(write(files))
    assert config.values == {"x": None, "y": [4], "z": 5}
    assert str(config.origins.place("x.one")) == "conf/b.yaml:1:4"
    assert str(config.origins.place("y.2")) == "conf/b.yaml:2:4"
    assert str(config.origins.place("z")) == "conf/a.yaml:3:4"


def test_packages(write):
    files = {
        "config.yaml": "defaults:\n  - side@left.inner: one\n  - side@right: one\n",
        "side/one.yaml": "value: 1\n",
        "side/two.yaml": "# @package deep.down\nvalue: 2\n",
    }
    config = compose(write(files), ["side@right=two"])
    assert config.values == {"left": {"inner": {"value": 1}}, "right": {"value": 2}}
    assert str(config.origins.place("left.inner.value")) == "conf/side/one.yaml:1:8"
    assert str(config.origins.place("right.value")) == "conf/side/two.yaml:2:8"
    assert str(config.origins.place("left")) == "conf/side/one.yaml:1:1"


def test_forms_of_yaml(write):
    text = """\
    anchored: &a {x: 1}
    merged: {<<: *a, y: 2}
    empty:
    folded: >
      some
      text
    "quoted key": 'it''s'
    list:
      - {x: 1}
      -
        y: 2
    long: [1,
      2]
    """
    origins = compose(write({"config.yaml": text})).origins
    assert marked(merged := origins.place("merged.x")) == "<<"
    assert str(merged and merged.via) == "conf/config.yaml:1:18"
    assert marked(origins.place("merged.y")) == "2"
    assert marked(origins.place("empty")) == "empty"
    assert marked(origins.place("folded")) == ">"
    assert marked(origins.place("quoted key", "key")) == '"quoted key"'
    assert marked(origins.place("quoted key")) == "'it''s'"
    assert marked(origins.place("list")) == "list"
    assert marked(origins.place("list.0.x")) == "1"
    assert str(origins.place("list.1")) == "conf/config.yaml:11:5"
    assert marked(origins.place("long")) == "[1,"
    assert marked(origins.place("long.1")) == "2"


@pytest.mark.parametrize("overrides", [[], ["model=lstm"], ["experiment=wide", "paths=default"]])
def test_every_value_stands_at_its_place(conf, overrides):
    config = compose(conf, overrides)
    num_values = 0

    def check(path: tuple[str, ...], written: object) -> None:
        nonlocal num_values
        if isinstance(written, dict | list):
            for name, item in written.items() if isinstance(written, dict) else enumerate(written):
                check((*path, str(name)), item)
        elif written is not None:
            num_values += 1
            text = yaml.safe_load(f"- {marked(config.origins.place('.'.join(path)))}")[0]
            assert text == (written if is_interpolation(written) else follow(config.values, path).value) or "e-" in text

    check((), config.origins.config)
    assert num_values > 10


def test_names_of_files(write, tmp_path, monkeypatch):
    root = write({"config.yaml": "a: 1\n"})
    assert str(compose(root).origins.place("a")) == "conf/config.yaml:1:4"
    assert str(compose(tmp_path / "conf").origins.place("a")) == "conf/config.yaml:1:4"
    assert str(compose(root, shown_as="HEAD~1/conf").origins.place("a")) == "HEAD~1/conf/config.yaml:1:4"
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert str(compose("../conf").origins.place("a")) == "../conf/config.yaml:1:4"
    assert str(compose(tmp_path / "conf").origins.place("a")) == f"{tmp_path.as_posix()}/conf/config.yaml:1:4"


def test_places_outlive_the_files(write):
    root = write({"config.yaml": "a: 1\n"})
    origins = compose(root).origins
    Path(root, "config.yaml").unlink()
    assert str(origins.place("a")) == "conf/config.yaml:1:4"


def test_locate_fills_in_the_place_once(at_tree):
    origins = compose("conf", ["model=lstm"]).origins
    problem = Problem("MF012", "model.layers.rnn.hidden_size", "LSTM has no argument `hidden_size`", part="key")
    assert render(origins.locate(problem)) == (
        "error[MF012]: LSTM has no argument `hidden_size`\n"
        "  --> conf/model/lstm.yaml:6:5\n"
        "   |\n"
        "6  |     hidden_size: 64\n"
        "   |     ^^^^^^^^^^^\n"
        "   = override key: model.layers.rnn.hidden_size"
    )
    elsewhere = problem.at(Place(override="x=1"))
    assert origins.locate(elsewhere) is elsewhere


def test_empty_origins_know_no_place():
    assert Origins.empty().place("model.layers") is None
    problem = Problem("MF012", "model.layers", "wrong")
    assert Origins.empty().locate(problem) == problem


def test_origins_can_be_copied_and_pickled(at_tree):
    origins = compose("conf").origins
    origins.place("seed")
    for other in (copy.deepcopy(origins), pickle.loads(pickle.dumps(origins))):
        assert other.place("model.input.shape.1") == origins.place("model.input.shape.1")


ALIASED = """\
input: {shape: [4]}
layers:
  a:
    type: Linear
    out_features: &width 8
    init: &start
      scheme: xavier
      gain: 2
  b: {type: Linear, out_features: *width}
  c: {type: Linear, out_features: 3, init: *start}
  d:
    <<: &whole {type: Linear, out_features: 7}
    bias: false
  e:
    <<: *whole
    bias: true
  f: {type: Concat, inputs: [&one a, *one]}
"""


@pytest.mark.parametrize(
    ("key", "part", "where", "via"),
    [
        ("a.out_features", "value", "5:19", ""),
        ("b.out_features", "value", "9:21", "5:19"),
        ("b.out_features", "key", "9:21", ""),
        ("b.type", "value", "9:13", ""),
        ("c.init", "key", "10:38", ""),
        ("c.init.gain", "value", "10:38", "8:13"),
        ("c.init.gain", "key", "10:38", "8:7"),
        ("d.out_features", "value", "12:45", ""),
        ("e.out_features", "value", "15:5", "12:45"),
        ("e.bias", "value", "16:11", ""),
        ("f.inputs.0", "value", "17:30", ""),
        ("f.inputs.1", "value", "17:29", "17:30"),
    ],
)
def test_both_ends_of_an_alias(write, key: str, part: Any, where: str, via: str):
    """The place was that of the anchor alone, wherever the value was wrong."""
    conf = write({"config.yaml": "defaults: [model: aliased]", "model/aliased.yaml": ALIASED})
    place = compose(conf).origins.place(f"model.layers.{key}", part)
    assert place is not None
    assert str(place) == f"conf/model/aliased.yaml:{where}"
    assert (str(place.via).rpartition("yaml:")[2] if place.via else "") == via
