"""Composition: the values, the choices, and Hydra's state as it was."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from hydra import version
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from modelforge.config.compose import compose
from modelforge.config.document import Document
from modelforge.config.folder import default_conf, options
from modelforge.core.errors import ForgeError


def test_values_are_plain_and_resolved(conf):
    config = compose(conf)
    assert config.values == {
        "data": {"input": {"shape": [8, 8], "dtype": "float32"}, "shape": [8, 8], "num_classes": 10},
        "model": {
            "input": {"shape": [8, 8], "dtype": "float32"},
            "layers": {
                "0": {"type": "Flatten"},
                "hidden": {"type": "Linear", "out_features": 32},
                "head": {"type": "Linear", "out_features": 10},
            },
        },
        "init": {"scheme": "xavier", "gain": 0.001},
        "seed": 7,
        "name": "run_7",
    }
    assert type(config.values) is dict
    assert type(config.values["model"]["input"]) is dict
    assert type(config.values["init"]["gain"]) is float
    assert config.choices == {"data": "digits", "model": "mlp", "init": "xavier"}
    assert config.overrides == ()


def test_references_do_not_share_what_they_refer_to(conf):
    values = compose(conf).values
    values["model"]["input"]["shape"].append(1)
    assert values["data"]["input"]["shape"] == [8, 8]


def test_choices_hold_what_was_merged(write):
    text = "defaults:\n  - model: a\n  - optional local: mine\n  - extra: null\n  - hydra: quiet\n"
    root = write(
        {"config.yaml": text, "model/a.yaml": "x: 1\n", "hydra/quiet.yaml": "verbose: false\n", "extra/b.yaml": ""}
    )
    config = compose(root, ["+model@other=a"])
    assert config.choices == {"model": "a", "model@other": "a"}
    assert config.values == {"model": {"x": 1}, "other": {"x": 1}}


def test_overrides(conf):
    overrides = [
        "model=lstm",
        "model.layers.rnn.hidden_size=128",
        "~model.layers.last",
        "+model.layers.rnn.dropout=0.5",
        "++init.gain=2",
        "+model.layers.extra={type: ReLU}",
        "init.scheme='a, b'",
    ]
    config = compose(conf, overrides)
    layers = config.values["model"]["layers"]
    assert layers["rnn"]["hidden_size"] == 128
    assert layers["rnn"]["dropout"] == 0.5
    assert list(layers) == ["rnn", "add", "head", "extra"]
    assert layers["extra"] == {"type": "ReLU"}
    assert config.values["init"] == {"scheme": "a, b", "gain": 2}
    assert config.choices["model"] == "lstm"
    assert config.overrides == tuple(overrides)


def test_a_layer_named_by_a_number_is_overridden_like_any_other(conf):
    config = compose(conf, ["model.layers.0.type=Identity"])
    assert config.values["model"]["layers"]["0"] == {"type": "Identity"}


def test_experiment_chooses_and_refines(conf):
    config = compose(conf, ["experiment=wide"])
    assert config.choices["model"] == "lstm"
    assert config.choices["experiment"] == "wide"
    assert config.values["model"]["layers"]["rnn"]["hidden_size"] == 256


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("no", False),
        ("2001-01-01", "2001-01-01"),
        ("${seed}", 7),
        ("'${seed}e-3'", "7e-3"),
        ("${.gain}", 0.001),
        ("${..seed}", 7),
        ("[1, '${data.shape[1]}']", [1, 8]),
        ("${model.input.shape.0}", 8),
        ("${data.input.shape}", [8, 8]),
        ('\\${seed}', "${seed}"),
        ("${oc.select:nothing, 3}", 3),
        ("'${oc.create:{a: [1, 2]}}'", {"a": [1, 2]}),
        ("${init.${init.which}}", "xavier"),
    ],
)  # fmt: skip
def test_values_of_interpolations(write, conf, text, value):
    root = write({"config.yaml": "defaults: [init: mine, _self_]", "init/mine.yaml": f"value: {text}\n"})
    for name in ("data/digits.yaml", "model/mlp.yaml", "init/xavier.yaml"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text((conf / name).read_text())
    config = compose(
        root, ["+data=digits", "+model=mlp", "+seed=7", "+init.scheme=xavier", "+init.gain=1e-3", "+init.which=scheme"]
    )
    assert config.values["init"]["value"] == value
    assert type(config.values["init"]["value"]) is type(value)


def test_keys_are_the_text_in_the_file(write):
    root = write({"config.yaml": "layers: {on: 1, 0x10: 2, 1.50: 3, null: 4, ~: 5}"})
    assert compose(root).values == {"layers": {"on": 1, "0x10": 2, "1.50": 3, "null": 4, "~": 5}}


def test_merge_keys_and_aliases(write):
    root = write({"config.yaml": "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\n"})
    assert compose(root).values == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}}


def test_what_only_a_run_knows_stays_as_written(conf):
    paths = compose(conf, ["paths=default"]).values["paths"]
    assert paths == {
        "output_dir": "${hydra:runtime.output_dir}",
        "checkpoints": "${paths.output_dir}/checkpoints",
        "task": "mlp",
    }


def test_the_job_name_is_not_made_up(write):
    root = write({"config.yaml": "name: ${hydra:job.name}"})
    assert compose(root).values == {"name": "${hydra:job.name}"}
    assert compose(root, ["hydra.job.name=mine"]).values == {"name": "mine"}


def test_an_empty_file_is_an_empty_config(write):
    assert compose(write({"config.yaml": "# nothing\n"})).values == {}


def test_hydra_state_is_left_alone(conf):
    base = version.getbase()
    JobRuntime.instance().set("name", "outer")
    cwd = os.getcwd()
    compose(conf)
    with pytest.raises(ForgeError):
        compose(conf, ["model=nothing"])
    assert not GlobalHydra.instance().is_initialized()
    assert not HydraConfig.initialized()
    assert version.getbase() == base
    assert JobRuntime.instance().get("name") == "outer"
    assert os.getcwd() == cwd


def test_options_on_the_search_path(write, tmp_path):
    root = write({"config.yaml": "defaults: [model: a]", "model/a.yaml": "x: 1", "../more/model/b.yaml": "y: 2"})
    search = f"hydra.searchpath=[file://{tmp_path}/more]"
    config = compose(root, ["model=b", search])
    assert config.values == {"model": {"y": 2}}
    assert str(config.origins.place("model.y")) == "more/model/b.yaml:1:4"
    with pytest.raises(ForgeError, match=r"`model` has no option `c`\n.*\n.*known: `a`, `b`"):
        compose(root, [search, "model=c"])


def read(text: str) -> str:
    """What a file holds, or why it is refused."""
    try:
        return repr(Document("a.yaml", text).load())
    except ForgeError as error:
        return error.problems[0].message


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789._eE+-:xobnfyNaifTrue~", min_size=1, max_size=8))
def test_scalars_are_read_as_omegaconf_reads_them(scalar):
    text = f"a: {scalar}\n"
    try:
        expected = OmegaConf.load(io.StringIO(text))
    except (yaml.YAMLError, ValueError):
        reject()
    # What is octal, binary or sexagesimal to one reader and not to another is refused.
    refused = re.fullmatch(r"`(.*)` means .* in YAML 1\.[12].*", found := read(text))
    assert found == repr(expected) or (refused and refused[1] in scalar)


@pytest.mark.parametrize(
    "scalar", ["1e-3", "1E3", "1.5e3", "-2e+1", "1_0e2", ".5e-3", ".5e3", "1e", "0x1f", ".inf", "2001-01-01"]
)
def test_numbers_are_read_as_omegaconf_reads_them(scalar):
    text = f"a: {scalar}\n"
    assert repr(Document("a.yaml", text).load()) == repr(OmegaConf.load(io.StringIO(text)))


def test_threads(conf):
    sizes = list(range(8))
    with ThreadPoolExecutor(4) as pool:
        configs = list(
            pool.map(lambda size: compose(conf, ["model=lstm", f"model.layers.rnn.hidden_size={size}"]), sizes)
        )
    assert [config.values["model"]["layers"]["rnn"]["hidden_size"] for config in configs] == sizes


def test_no_torch():
    code = "import sys, modelforge.config; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_default_conf(write):
    root = write({"config.yaml": "a: 1"})
    assert default_conf() == root
    assert compose().values == {"a": 1}


def test_default_conf_is_the_shipped_one(tmp_path, monkeypatch):
    shipped = tmp_path / "modelforge"
    (shipped / "conf").mkdir(parents=True)
    (shipped / "conf" / "config.yaml").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr("importlib.resources.files", lambda name: tmp_path / name)
    assert default_conf() == shipped / "conf"


def test_default_conf_of_a_checkout_lies_beside_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert default_conf() == Path(__file__).parents[2] / "conf"


def test_default_conf_missing(tmp_path, monkeypatch, fails):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("importlib.resources.files", lambda name: tmp_path / name)
    fails(
        default_conf,
        """
        error[MF001]: there is no `conf/config.yaml` here
          --> conf
           = help: go to a folder that has a `conf`, or name one with `--conf DIR`
        """,
    )


def test_options(conf, fails):
    assert options(conf, "model") == ("lstm", "mlp")
    fails(
        lambda: options(conf, "modle"),
        f"""
        error[MF001]: there is no config group `modle` in `{conf}`
          --> modle
           = help: did you mean `model`?
        """,
    )
