"""The end of a multirun: what is printed, and the files in its folder."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from modelforge.core.errors import ForgeError
from modelforge.results import report_sweep
from tests.results.sweeps import gains


def test_tables_on_the_screen_and_files_in_the_folder(tmp_path: Path):
    folder = gains(tmp_path)
    out = io.StringIO()
    assert report_sweep(folder, Console(file=out, width=80)).counts.keys() != {"finished"}
    said = out.getvalue()
    lines = said.splitlines()
    assert lines[-1].startswith("13 finished, 5 diverged  ·  ")
    for words in (
        "job  init",
        "0.91200",
        "Each value on its own",
        "init=xavier init.gain=1 gives the best val/accuracy",
    ):
        assert words in said
    assert len((folder / "sweep.csv").read_text().splitlines()) == 19
    assert (folder / "sweep.html").read_text().startswith("<!doctype html>")


def test_a_folder_that_cannot_be_written(tmp_path: Path):
    folder = gains(tmp_path)
    (folder / "sweep.csv").mkdir()
    with pytest.raises(ForgeError, match=r"sweep.csv.* cannot be written"):
        report_sweep(folder, Console(file=io.StringIO(), width=80))
