"""`Environment`: the code, the packages, the device and the data of a run, as `environment.json` in its folder."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from modelforge._version import __version__
from modelforge.core.files import write_atomically
from modelforge.core.git import run
from modelforge.core.limits import MAX_STATUS_BYTES
from modelforge.core.own_code import code_digest
from modelforge.core.regular_files import read_text

ENVIRONMENT = "environment.json"
TIMEOUT = 10.0
"""Seconds that git may take: the untracked files of a large repository on a network file system may take minutes."""


@dataclass(frozen=True)
class Git:
    """The state of a repository."""

    commit: str | None
    """None before the first commit."""
    dirty: bool
    """Whether files differ from the commit, or are not in it and not ignored."""


@dataclass(frozen=True)
class Environment:
    """What the numbers of a run depend on besides its config."""

    python: str
    platform: str
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    """The version of modelforge, and of each package that it can use and that is installed."""
    git: Git | None = None
    """Of the repository around the folder that the run was started in; None where there is none, or no git."""
    device: str | None = None
    """What it was trained on; None where it did not get that far."""
    data: str | None = None
    """The digest of its examples; None where it did not get that far."""
    data_settings: str | None = None
    """The hash of the settings that say which examples these are; None where it did not get that far."""
    code: str | None = None
    """The digest of the project's own modules; None where it has none."""

    def to_dict(self) -> dict[str, Any]:
        """The environment as plain data, as the file holds it."""
        return asdict(self)


def here() -> Environment:
    """The environment of this process, and of the project in its working folder."""
    packages = {"modelforge": __version__, **dict(_installed())}
    git = git_state(Path.cwd())
    return Environment(platform.python_version(), platform.platform(), packages, git, code=code_digest())


def write(environment: Environment, folder: Path) -> None:
    """Puts `environment.json` into a run folder.

    Raises:
        ForgeError: it cannot be written.
    """
    write_atomically(folder / ENVIRONMENT, json.dumps(environment.to_dict(), indent=2) + "\n")


def complete(folder: Path, **facts: str) -> None:
    """Adds to `environment.json` in a run folder what is known only later: the device, and what the data is.

    Raises:
        ForgeError: it cannot be written.
    """
    whole = {**(read(folder) or here().to_dict()), **facts}
    write_atomically(folder / ENVIRONMENT, json.dumps(whole, indent=2) + "\n")


def read(folder: Path) -> Mapping[str, Any]:
    """The environment of the run in `folder` as plain data; empty where there is none, or it is damaged."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(read_text(folder / ENVIRONMENT, MAX_STATUS_BYTES))
        return found if isinstance(found, dict) else {}
    return {}


def git_state(folder: Path) -> Git | None:
    """The state of the repository around a folder; None where there is none, or git is absent or does not answer."""
    try:
        done = run(folder, "status", "--porcelain=v2", "--branch", "-z", timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = [line for line in done.stdout.decode(errors="replace").split("\0") if line]
    commit = next((line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid ")), None)
    if done.returncode or commit is None:
        return None
    return Git(None if commit == "(initial)" else commit, any(not line.startswith("# ") for line in lines))


def _installed() -> Iterator[tuple[str, str]]:
    with suppress(PackageNotFoundError):
        names = {match[0] for text in requires("modelforge") or () if (match := re.match(r"[\w.-]+", text))}
        for name in sorted(names - {"modelforge"}):
            with suppress(PackageNotFoundError):
                yield name, version(name)
