"""run: git, as a reader of a repository that may hold a stranger's files.

No folder of a working tree is taken for a repository, and no monitor of the file system that a config names is started.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

GIT = (
    "git",
    "-c",
    "safe.bareRepository=explicit",
    "-c",
    "core.fsmonitor=false",
)
"""How each command starts."""


def start_of(folder: Path) -> Path:
    """Where git starts for a folder, which need not exist any more: the nearest one above that holds `.git`.

    Started in a folder with `HEAD`, `objects` and `refs`, git takes it for a repository, and does what its `config`
    names: a tree may hold such a folder, but no `.git`.
    """
    place = Path(os.path.realpath(folder))
    above = [path for path in (place, *place.parents) if path.is_dir()]
    return next((path for path in above if os.path.lexists(path / ".git")), above[0])


def run(
    folder: Path, *arguments: str, given: bytes = b"", timeout: float | None = None
) -> subprocess.CompletedProcess[bytes]:
    """What git says about a folder, which need not exist any more. Git takes no lock that it can do without.

    Args:
        folder: The folder.
        arguments: The command and its arguments.
        given: What it reads.
        timeout: Seconds; None for no limit.

    Raises:
        OSError: there is no git.
        subprocess.TimeoutExpired: it does not answer in time.
    """
    return subprocess.run(
        [*GIT, *arguments],
        cwd=start_of(folder),
        input=given,
        capture_output=True,
        timeout=timeout,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        check=False,
    )
