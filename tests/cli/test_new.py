"""new and schema: what they print, and what they leave as it was."""

from __future__ import annotations

import json
import subprocess

from modelforge.language.schema import schema


def test_commands(run, tmp_path):
    made = run("new", str(tmp_path / "vision"))
    assert "train.py" in made.stdout
    assert "python train.py" in made.stdout
    assert json.loads(run("schema").stdout) == schema("model")
    assert json.loads(run("schema", "init").stdout) == schema("init")


def test_what_git_and_its_hosts_put_there_stays(tmp_path, run):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    mine = {".gitignore": "*.bak\n", "README.md": "# Mine\n", "LICENSE": "MIT\n", ".python-version": "3.12\n"}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    made = run("new", str(tmp_path))
    assert {name: (tmp_path / name).read_text() for name in mine} == mine
    assert (tmp_path / "train.py").is_file()
    lines = [" ".join(line.split()) for line in made.stdout.splitlines()]
    assert {"README.md was there; not changed", ".gitignore was there; not changed"} <= {*lines}
