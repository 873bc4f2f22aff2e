"""The commands about configs: each names a function that there is, and explains itself."""

from __future__ import annotations

import re
from pathlib import Path
from pkgutil import resolve_name

import pytest
from typer.testing import CliRunner

from modelforge.cli import config_commands
from modelforge.cli.app import app

SOURCE = Path(config_commands.__file__).read_text(encoding="utf-8")
COMMANDS = re.findall(r"^@app\.command\((?:name=\"(.*?)\")?\)\ndef (\w+)", SOURCE, re.MULTILINE)


@pytest.mark.parametrize("target", re.findall(r'answer\("([\w:]+)"', SOURCE))
def test_a_command_is_carried_out_by_a_function(target: str):
    assert callable(resolve_name(f"modelforge.cli.{target}"))


@pytest.mark.parametrize("name", [given or function for given, function in COMMANDS])
def test_a_command_explains_its_options(name: str):
    result = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    assert "--json" in result.output or name in ("schema", "git-diff-driver")
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize("name", ["check", "lint"])
def test_a_revision_is_for_changed_files_alone(name: str):
    result = CliRunner().invoke(app, [name, "--base-ref", "main"], env={"COLUMNS": "80"})
    assert result.exit_code == 2
    assert "--base-ref is for --changed-only" in result.output
