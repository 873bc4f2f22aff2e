"""fetch_commits: lets git fetch what a shallow clone lacks, where a person asks for it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.git import run
from modelforge.review.revision import is_revision, is_shallow
from modelforge.review.sides import find_conf

TIMEOUT = 600
"""Seconds."""
_DOTS = re.compile(r"(?<=[^./])(\.{2,3})(?=[^./])")
"""What stands between two revisions."""


def fetch_commits(names: Sequence[str], conf: Path | None) -> list[str]:
    """Completes a shallow clone, and fetches branches that it does not know, from `origin`.

    Args:
        names: Both sides as a person names them; folders and overrides among them are left alone.
        conf: The config folder; None for the default one.

    Returns:
        The sides as git knows them now: a branch of `origin` that has no local branch is `origin/NAME`.

    Raises:
        ForgeError: git cannot fetch.
    """
    folder = find_conf(conf)
    if is_shallow(folder):
        _fetch(folder, "--unshallow")
    return ["".join(_known(end, folder) for end in _DOTS.split(side)) for side in names]


def _known(name: str, folder: Path) -> str:
    """A name that git knows, or that is none of a revision; a branch that it does not know is fetched."""
    plain = bool(name) and "=" not in name and not name.startswith(("-", "~", "+", ".")) and not Path(name).exists()
    if not plain or is_revision(name, folder):
        return name
    branch = name.removeprefix("origin/")
    if not is_revision(f"origin/{branch}", folder):
        _fetch(folder, f"+refs/heads/{branch}:refs/remotes/origin/{branch}")
    return f"origin/{branch}"


def _fetch(folder: Path, what: str) -> None:
    order = (what, "origin") if what.startswith("--") else ("origin", what)
    try:
        done = run(folder, "fetch", "--no-tags", "--quiet", *order, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ForgeError([Problem("MF070", "--fetch", f"git cannot fetch: {error}")]) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise ForgeError([Problem("MF070", "--fetch", f"git cannot fetch: {said}", "fetch by hand, then compare")])
