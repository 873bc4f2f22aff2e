"""status.json: whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from modelforge.config.overrides import parse
from modelforge.core.files import write_atomically
from modelforge.runs.status import as_hydra_reads, begin, read_state, write


def test_a_run_whose_clock_was_set_back_has_no_duration():
    later = replace(begin(), started="2999-01-01T00:00:00+00:00")
    assert later.end("finished").seconds is None
    assert begin().end("finished").seconds is not None


def test_a_run_from_start_to_end(tmp_path: Path):
    status = begin(("model=lstm",))
    write(status, tmp_path)
    assert read_state(tmp_path) == "running"
    write(status.end("finished", metrics={"val/accuracy": 0.5, "val/loss": float("nan")}), tmp_path)
    data = json.loads((tmp_path / "status.json").read_text())
    assert data["state"] == "finished"
    assert data["metrics"] == {"val/accuracy": 0.5}  # JSON has no NaN
    assert data["overrides"] == ["model=lstm"]
    assert data["seconds"] >= 0
    assert data["pid"] == os.getpid()


def test_a_reader_never_sees_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "status.json"
    write_atomically(path, "old")

    def refuse(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new and longer")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["status.json"]  # no temporary file stays behind


@pytest.mark.parametrize("text", ["", "{", "[]", '{"no": "state"}'])
def test_what_is_no_status_has_no_state(tmp_path: Path, text: str):
    (tmp_path / "status.json").write_text(text)
    assert read_state(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    ["a b", "it's", r"a\b", r"a\\b", "a\\", r"a\'b", r"C:\x y" + "\\", "''", "${x}", r"a\${x}", "1e3", "null", "a=b,c"],
)
def test_hydra_reads_a_text_as_it_is(text: str):
    (override,) = parse((f"ckpt={as_hydra_reads(text)}",))
    assert OmegaConf.create({"ckpt": override.value()}).ckpt == text
