"""The command as a process: imports, exit statuses, signals, pipes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from modelforge._version import __version__
from modelforge.cli import config_commands, file_commands, run_commands
from modelforge.cli.app import app
from modelforge.cli.front import named_form
from modelforge.cli.options import SweepForm
from modelforge.core import plugins

SOURCES = [
    Path(module.__file__).read_text(encoding="utf-8") for module in (config_commands, file_commands, run_commands)
]
COMMANDS = {one.name or one.callback.__name__: one.callback.__module__ for one in app.registered_commands}
WITHOUT_JSON = {"schema", "git-diff-driver", "sweep work"}
COMMAND = "from modelforge.cli import main; main()"
HERE = Path(__file__).parent


def modelforge(*arguments: str, script: str = COMMAND) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    environment = {**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=HERE,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_every_module_of_commands_has_some():
    assert {*COMMANDS.values()} == {module.__name__ for module in (config_commands, file_commands, run_commands)}


@pytest.mark.parametrize("target", [name for source in SOURCES for name in re.findall(r'answer\("([\w:]+)"', source)])
def test_a_command_is_carried_out_by_a_function(target: str):
    assert callable(resolve_name(f"modelforge.cli.{target}"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_its_options(name: str):
    result = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    assert ("--json" in result.output) == (name not in WITHOUT_JSON)
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [("--help",), ("diff", "--help"), ("--version",)])
def test_help_imports_nothing_heavy(arguments):
    script = f"""
import sys
try:
    {COMMAND.replace("; ", chr(10) + "    ")}
finally:
    print(sorted({{"torch", "numpy", "hydra", "omegaconf"}} & set(sys.modules)), file=sys.stderr)
"""
    result = modelforge(*arguments, script=script)
    assert (result.returncode, result.stderr.strip()) == (0, "[]")


def test_version():
    assert modelforge("--version").stdout == f"modelforge {__version__}\n"


@pytest.mark.parametrize("arguments", [("chek",), ("show", "--jsn"), ("explain",), ("sweep",)])
def test_misuse_exits_with_2(run, arguments):
    assert "Usage" in run(*arguments, status=2).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sweep", "runs", "--csv", "--json"), "choose one of --format, --csv and --json"),
        (("sweep", "runs", "--csv", "--format", "html", "-o", "x.html"), "choose one of --format, --csv and --json"),
        (("diff", "HEAD", "HEAD", "--markdown", "--json"), "choose one of --format, --markdown and --json"),
        *[
            ((command, "--format", "text", "--json"), "choose one of --format and --json")
            for command in ("check", "lint", "diagnose", "gallery")
        ],
    ],
)
def test_two_forms_of_output_are_misuse(run, arguments, said):
    result = run(*arguments, status=2)
    assert said in result.stderr
    assert result.stdout == ""


def test_a_form_that_is_named_twice_is_one():
    assert named_form(SweepForm.json, json=True) == "json"
    assert named_form(None, json=False) is None


def test_a_broken_plugin_is_named(text, monkeypatch):
    class Broken:
        name, value, dist = "mine", "my_layers.broken", SimpleNamespace(name="my-layers")

        def load(self) -> None:
            raise ImportError("no module named my_layers")

    monkeypatch.setattr(plugins, "_loaded", set())
    monkeypatch.setattr(plugins, "_offered", lambda group: [Broken()] if group == "modelforge.layers" else [])
    shown = text("show", status=1)
    assert "error[MF081]: the package `my-layers` offers `my_layers.broken`" in shown
    assert "`pip uninstall my-layers`" in shown


def test_no_command_shows_the_help(run):
    assert "explain" in run(status=2).output


@pytest.mark.skipif(os.name == "nt", reason="a matter of POSIX pipes")
def test_a_reader_that_leaves_is_no_error():
    command = [sys.executable, "-c", COMMAND, "list", "layers", "--json"]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == -signal.SIGPIPE


def test_an_interrupt_leaves_no_traceback():
    script = f"""
import modelforge.cli.show
def interrupted(*arguments, **options):
    raise KeyboardInterrupt
modelforge.cli.show.show = interrupted
{COMMAND}
"""
    result = modelforge("show", script=script)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def test_a_terminal_without_unicode_shows_something():
    script = f"""
import sys
sys.stdout.reconfigure(encoding="ascii")
{COMMAND}
"""
    result = modelforge("list", "inits", "orthogonal", script=script)
    assert result.returncode == 0
    assert "gain" in result.stdout
