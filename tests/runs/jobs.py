"""Folders of jobs for tests."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path


def job(folder: Path, state: str = "finished", overrides=(), **fields) -> None:
    folder.mkdir(parents=True)
    status = {
        "state": state, "overrides": list(overrides), "metrics": {}, "error": [], "seconds": 1.25,
        "optimized_metric": "val/accuracy", "host": socket.gethostname(), "pid": os.getpid(),
    }  # fmt: skip
    (folder / "status.json").write_text(json.dumps(status | fields))
