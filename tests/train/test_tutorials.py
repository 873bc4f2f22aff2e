"""Tutorials in docs/: every command and every line of Python runs, in their order, in an empty folder."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def follow(page: str, here: Path) -> list[str]:
    """Runs what a page shows in a folder; gives what each block prints."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    surroundings = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    printed = list[str]()
    for kind, block in re.findall(r"```(python|sh)\n(.*?)```", text, flags=re.DOTALL):
        command = (
            [sys.executable, "-c", block]
            if kind == "python"
            else ["bash", "-ec", block.replace(" train.py", f" {ROOT}/train.py")]
        )
        result = subprocess.run(command, cwd=here, env=surroundings, text=True, capture_output=True, check=False)
        assert result.returncode == 0, f"{block}\n{result.stdout}\n{result.stderr}"
        printed.append(result.stdout)
    return printed


@pytest.mark.slow
def test_the_tutorial_on_pictures(tmp_path: Path):
    _, trained, evaluated, predicted = follow("tutorial-pictures.md", tmp_path)
    reported = json.loads((tmp_path / "runs" / "digits" / "status.json").read_text())["metrics"]["test/accuracy"]
    assert reported > 0.7
    assert f"test accuracy {reported:.4f}".rstrip("0") in trained
    rows = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    assert len(rows) == 297
    right = sum(row["prediction"] == row["file"].partition("/")[0] for row in rows)
    assert right / len(rows) == pytest.approx(reported, abs=1e-6)
    assert "accuracy" in evaluated
    assert "'0'" in predicted
