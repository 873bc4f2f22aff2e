"""A git revision's configs, copied into a temporary folder. Nothing is checked out, and no hook or filter runs."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from modelforge.errors import ForgeError, Problem


def is_revision(name: str, folder: Path) -> bool:
    """Whether git knows a commit of that name in the repository around `folder`, which need not exist any more."""
    try:
        return (
            _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").returncode == 0
        )
    except FileNotFoundError:
        return False


@contextmanager
def extracted(revision: str, folder: Path) -> Generator[Path]:
    """A copy of `folder` as it was in `revision`, gone when the context ends.

    Raises:
        ForgeError: the folder was not there, or holds links that lead out of it.
    """
    commit = _said(folder, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    root = Path(_said(folder, "rev-parse", "--show-toplevel")).resolve()
    place = folder.resolve()
    below = place.relative_to(root).as_posix() if place.is_relative_to(root) else ""
    archive = _git(root, "archive", "--format=tar", commit, "--", f"./{below}")
    if archive.returncode != 0 or not below:
        message = f"there is no folder `{folder}` in the revision `{revision}`"
        raise ForgeError([Problem("MF070", revision, message, "name another one: `--conf DIR`")])
    with tempfile.TemporaryDirectory(prefix="modelforge-") as scratch:
        try:
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
                tar.extractall(scratch, filter="data")
        except tarfile.TarError as error:
            message = f"`{folder}` of the revision `{revision}` cannot be unpacked: {error}"
            raise ForgeError([Problem("MF070", revision, message)]) from None
        yield Path(scratch) / below


def _said(folder: Path, *arguments: str) -> str:
    return _git(folder, *arguments).stdout.decode().strip()


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Runs git in a folder, or in the nearest one above it that exists."""
    around = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return subprocess.run(["git", *arguments], cwd=around, capture_output=True, check=False)
