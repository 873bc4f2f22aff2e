"""`modelforge fmt` and `modelforge upgrade` on folders and files."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelforge.cli.app import app
from modelforge.config.compose import compose
from modelforge.language import parse

ROOT = Path(__file__).parents[2]
UNORDERED = "layers:\n  head: {out_features: 2, type: Linear}\ninput: {shape: [4]}\n"
ORDERED = "input: {shape: [4]}\nlayers:\n  head: {type: Linear, out_features: 2}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "conf", "conf")
    Path("conf/model/own.yaml").write_text(UNORDERED)
    return tmp_path


def call(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == status, result.output
    return result.output


def test_a_folder_is_formatted_once(project: Path):
    number = len([*Path("conf").rglob("*.yaml")])
    assert call("fmt") == f"formatted conf/model/own.yaml\n1 file formatted, {number - 1} files left unchanged\n"
    assert Path("conf/model/own.yaml").read_text() == ORDERED
    assert call("fmt") == f"0 files formatted, {number} files left unchanged\n"


def test_check_and_diff_write_nothing(project: Path):
    assert "would format conf/model/own.yaml\n1 file would be formatted" in call("fmt", "--check", status=1)
    said = call("fmt", "--diff", "conf/model/own.yaml")
    assert "-  head: {out_features: 2, type: Linear}\n+input" not in said
    assert "+  head: {type: Linear, out_features: 2}" in said
    data = json.loads(call("fmt", "--check", "--json", "conf/model", status=1))
    assert data["changed"] == ["conf/model/own.yaml"]
    assert not data["written"]
    assert Path("conf/model/own.yaml").read_text() == UNORDERED


def test_nothing_is_written_if_a_file_cannot_be_read(project: Path):
    Path("conf/model/broken.yaml").write_text("layers: [\n")
    Path("conf/model/latin.yaml").write_bytes(b"# \xe9\n")
    said = call("fmt", status=1)
    assert "conf/model/broken.yaml" in said or "conf/model/latin.yaml" in said
    assert Path("conf/model/own.yaml").read_text() == UNORDERED
    assert "no/such.yaml" in call("fmt", "no/such.yaml", status=1)


def test_hidden_files_and_links_are_left_alone(project: Path):
    Path("conf/.hidden").mkdir()
    Path("conf/.hidden/own.yaml").write_text(UNORDERED)
    outside = project / "outside.yaml"
    outside.write_text(UNORDERED)
    os.symlink(outside, "conf/model/link.yaml")
    call("fmt")
    assert outside.read_text() == UNORDERED
    assert Path("conf/.hidden/own.yaml").read_text() == UNORDERED
    call("fmt", "conf/model/link.yaml")  # named, it is followed, and stays a link
    assert outside.read_text() == ORDERED
    assert Path("conf/model/link.yaml").is_symlink()


def test_an_experiment_and_a_primary_config_are_formatted_by_their_sections(project: Path):
    Path("conf/experiment/own.yaml").write_text(
        "# @package _global_\nmodel:\n  layers: {head: {out_features: 3, type: Linear}}\n"
        "init: {gain: 2, scheme: xavier}\ndefaults:\n  - override /model: mlp\n"
    )
    call("fmt", "conf/experiment/own.yaml")
    assert Path("conf/experiment/own.yaml").read_text() == (
        "# @package _global_\ndefaults:\n  - override /model: mlp\nmodel:\n"
        "  layers: {head: {type: Linear, out_features: 3}}\ninit: {scheme: xavier, gain: 2}\n"
    )


def test_a_folder_of_an_earlier_version_is_upgraded(project: Path):
    config = Path("conf/config.yaml")
    config.write_text(config.read_text().replace("modelforge: 1\n", ""))
    hydra = Path("conf/hydra/default.yaml")
    now = hydra.read_text()
    old = now.replace("  - override callbacks: sweep_report   # prints", "  # prints")
    hydra.write_text(f"{old}callbacks:\n  sweep: {{_target_: modelforge.sweep.callback.SweepReport}}\n")
    before = config.read_text(), hydra.read_text()
    said = call("upgrade", "--check", status=1)
    assert (config.read_text(), hydra.read_text()) == before
    assert call("upgrade") == said
    assert "conf/config.yaml: `modelforge: 1`\n" in said
    assert "conf/hydra/default.yaml: `callbacks`" in said
    assert "override callbacks: sweep_report" in hydra.read_text()
    assert parse(compose("conf", ["model=mlp"]))
    assert "all" in call("upgrade")


def test_a_folder_of_a_later_version_is_refused(project: Path):
    config = Path("conf/config.yaml")
    config.write_text(config.read_text().replace("modelforge: 1\n", "modelforge: 7\n"))
    assert "MF161" in call("upgrade", status=1)
    assert "MF161" in call("check", "model=mlp", status=1)


@pytest.mark.parametrize(
    "words",
    [("fmt",), ("upgrade",), ("schema", "--write"), ("check",), ("check", "--untrusted"), ("lint",)],
    ids=" ".join,
)
def test_a_folder_without_configs_never_means_those_of_modelforge(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """They are fine, and nobody's to write: "ok" in the wrong folder would be no answer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/config.yaml").touch()
    said = call(*words, status=1)
    assert "there is no `conf/config.yaml` here" in said
    assert "write `--conf configs`" in said
