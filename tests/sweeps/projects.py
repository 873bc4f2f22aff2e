"""A project whose jobs fail in all ways that there are: where the callback `dies` says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
SMALL = ("model=mlp", "trainer=fast", "trainer.max_epochs=1", "logger=none", "diagnose=false")
BRIEF = ("model=mlp", "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "+trainer.limit_val_batches=1",
    "logger=none")  # fmt: skip
"""Of the repository's own configs: a training of two batches."""
WELL = "WELL"
"""The variable of the environment that lets no job die."""

PLUGIN = f"""
import os
import signal
import sys
import time
from pathlib import Path

from lightning import Callback

from modelforge.train.callbacks.registry import CallbackSettings, register_callback


class End(Callback):
    def __init__(self, how, folder):
        self.how, self.folder = how, folder

    def on_train_start(self, trainer, pl_module):
        how, _, times = self.how.partition("-")
        notes = self.folder / ".begun"
        begun = len(notes.read_text()) if notes.exists() else 0
        notes.write_text("x" * (begun + 1))
        if {WELL!r} in os.environ or (times == "once" and begun):
            return
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif how == "gone":
            os._exit(3)
        elif how == "exited":
            sys.exit(3)
        elif how == "failed":
            raise RuntimeError("as asked")
        elif how == "slow":
            time.sleep(3)


@register_callback("dies")
class Dies(CallbackSettings):
    "Ends a job as asked."

    how: str = "well"

    def make(self, context):
        return End(self.how, context.folder)
"""


def project(folder: Path) -> Path:
    """Makes a project in a folder."""
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copy(ROOT / "train.py", folder)
    (folder / "conf" / "callbacks" / "dies.yaml").write_text("dies: {how: well}\n")
    (folder / "dies.py").write_text(dedent(PLUGIN))
    (folder / "pyproject.toml").write_text('[tool.modelforge]\nplugins = ["dies"]\n')
    return folder


def start(folder: Path, *arguments: str, own_group: bool = False, **environment: str) -> subprocess.Popen[str]:
    """Starts the project's train.py as a multirun, in a group of processes of its own if asked for."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    variables = os.environ | {"PYTHONPATH": path} | environment
    command = [sys.executable, "train.py", "-m", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=variables, stdout=pipe, stderr=pipe, text=True, start_new_session=own_group
    )


def multirun(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Runs it to its end: exit status, output, errors."""
    process = start(folder, *arguments, **environment)
    out, err = process.communicate(timeout=900)
    return process.returncode, out, err


def statuses(sweep: Path) -> dict[int, dict]:
    """The status of each job that has begun, by its number."""
    found = [json.loads(path.read_text()) for path in sweep.glob("*/status.json")]
    return {status["job"]["number"]: status for status in found}


def metrics(sweep: Path) -> dict[int, dict[str, float]]:
    """What each job gave."""
    return {number: status["metrics"] for number, status in sorted(statuses(sweep).items())}


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
