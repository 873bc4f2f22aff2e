"""Folders of jobs for tests."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

from modelforge.runs.liveness import machine


def job(folder: Path, state: str = "finished", overrides=(), **fields) -> None:
    folder.mkdir(parents=True)
    status = {
        "state": state, "overrides": list(overrides), "metrics": {}, "error": [], "seconds": 1.25,
        "optimized_metric": "val/accuracy", "host": socket.gethostname(), "machine": machine(),
        "pid": os.getpid(),
    }  # fmt: skip
    (folder / "status.json").write_text(json.dumps(status | fields))


def silent(folder: Path, seconds: float) -> None:
    """Makes the last heartbeat of a job as old as that."""
    then = time.time() - seconds
    os.utime(folder / "status.json", (then, then))
