"""The top-level keys of a composed config: modelforge's, the config's own, its groups, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import modelforge as mf
from modelforge.language.parse import SECTIONS
from modelforge.train import settings

MODEL = "input: {shape: [4]}\nlayers: {head: {type: Linear, out_features: '${width}'}}\n"


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A config folder with one key of its own, `width`, in which some files are replaced."""
    monkeypatch.chdir(tmp_path)

    def make(**replaced: str) -> Path:
        files = {
            "config": "defaults: [_self_, model: mlp, init: xavier, experiment: null]\nwidth: 3\n",
            "model/mlp": MODEL,
            "init/xavier": "scheme: xavier\n",
            "paths/here": "data: /data\n",
            "experiment/wide": "# @package _global_\nwidth: 30\n",
        }
        for name, text in (files | replaced).items():
            path = Path("conf", f"{name}.yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Path("conf")

    return make


def told(folder: Path, *overrides: str) -> str:
    with pytest.raises(mf.ForgeError) as caught:
        mf.load(folder, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    "overrides", [[], ["width=4"], ["experiment=wide"], ["+paths=here"], ["+trainer.max_epochs=1"]]
)
def test_what_the_config_declares_is_its_own(conf, overrides):
    assert mf.load(conf(), overrides).layers["head"].type == "Linear"


def test_a_key_that_nobody_declares_is_refused(conf):
    assert told(conf(), "+foo=1", "+optimiser.lr=3") == (
        "error[MF015]: unknown key `foo`\n"
        "  --> override +foo=1\n"
        "   = help: a key of your own is written in conf/config.yaml first\n"
        "\n"
        "error[MF015]: unknown key `optimiser`\n"
        "  --> override +optimiser.lr=3\n"
        "   = help: did you mean `optimizer` or `optimized_metric`?"
    )


def test_an_experiment_cannot_invent_one(conf):
    assert told(conf(**{"experiment/wide": "# @package _global_\nwidht: 30\n"}), "experiment=wide") == (
        "error[MF015]: unknown key `widht`\n"
        "  --> conf/experiment/wide.yaml:2:1\n"
        "   |\n"
        "2  | widht: 30\n"
        "   | ^^^^^ did you mean `width` or `weights`?\n"
        "   = override key: widht"
    )


@pytest.mark.parametrize("override", ["+model@foo=mlp", "+model@foo.bar=mlp", "+paths@foo=here", "+init@foo=xavier"])
def test_a_group_that_is_put_where_nothing_reads_it_is_refused(conf, override):
    folder = conf()
    assert told(folder, override).startswith("error[MF015]: unknown key `foo`\n  --> ")
    assert mf.load(folder, [override, "width=${foo.x}", "+foo.x=3"]).layers


@pytest.mark.parametrize(
    "file", ["# @package foo\ndata: 1\n", "# @package foo.bar\n{}\n", "# @package _global_\nfoo: {data: 1}\n"]
)
def test_a_file_that_puts_itself_where_nothing_reads_it_is_refused(conf, file):
    assert "unknown key `foo`" in told(conf(**{"paths/here": file}), "+paths=here")


def test_an_experiment_cannot_put_a_group_there_either(conf):
    wide = "# @package _global_\ndefaults: [/paths@foo: here]\n"
    assert "unknown key `foo`" in told(conf(**{"experiment/wide": wide}), "experiment=wide")


def test_the_config_s_own_defaults_list_may(conf):
    folder = conf(config="defaults: [_self_, model: mlp, init: xavier, paths@foo: here]\nwidth: 3\n")
    assert mf.load(folder).layers


def test_it_is_told_with_what_else_is_wrong(conf):
    assert "unknown key `foo`" in (said := told(conf(), "+foo=1", "init.scheme=xavir"))
    assert "unknown scheme" in said or "unknown initializer" in said


def test_all_sections_of_training_are_known():
    others = {"model", "init", "weights", "dtype", "optimizer", "scheduler", "freeze", "trainer", "modelforge"}
    others |= {"claim"}  # of the gallery
    assert set(settings.SECTIONS) | others == SECTIONS


@pytest.mark.parametrize("nothing", ["", "# nothing\n", "defaults: []\n", "{}\n"])
def test_an_empty_file_is_called_empty(conf, nothing):
    folder = conf(**{"model/mlp": nothing, "init/xavier": nothing})
    if nothing.startswith("defaults"):
        assert "is empty" not in told(folder)
        return
    assert told(folder) == (
        "error[MF011]: conf/model/mlp.yaml is empty\n"
        "  --> conf/model/mlp.yaml:1\n"
        "   = help: it should hold the `model` section\n"
        "   = override key: model\n"
        "\n"
        "error[MF011]: conf/init/xavier.yaml is empty\n"
        "  --> conf/init/xavier.yaml:1\n"
        "   = help: it should hold the `init` section\n"
        "   = override key: init"
    )


def test_an_empty_file_that_another_one_fills_is_fine(conf):
    assert mf.load(conf(**{"init/xavier": ""}), ["+init.scheme=xavier"]).layers
