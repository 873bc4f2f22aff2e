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


def is_revision(name: str) -> bool:
    """Whether git knows a commit of that name here."""
    try:
        return _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def extracted(revision: str, folder: Path) -> Generator[Path]:
    """A copy of `folder` as it was in `revision`, gone when the context ends.

    Raises:
        ForgeError: the folder lies outside the repository, was not there, or holds links that lead out of it.
    """
    below = _below_root(folder)
    commit = _git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").stdout.decode().strip()
    root = _git("rev-parse", "--show-toplevel").stdout.decode().strip()
    archive = _git("archive", "--format=tar", commit, "--", f"./{below}", cwd=root)
    if archive.returncode != 0:
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


def _below_root(folder: Path) -> str:
    """The folder's path from the top of the repository."""
    root = Path(_git("rev-parse", "--show-toplevel").stdout.decode().strip()).resolve()
    place = folder.resolve()
    if not place.is_relative_to(root):
        message = f"the config folder `{folder}` lies outside the git repository"
        raise ForgeError([Problem("MF070", str(folder), message, "name one inside it: `--conf DIR`")])
    return place.relative_to(root).as_posix()


def _git(*arguments: str, cwd: str | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, check=False)
