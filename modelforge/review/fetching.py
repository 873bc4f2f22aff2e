"""fetch_commits: lets git fetch what a shallow clone lacks, where a person asks for it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.git import run
from modelforge.review.revision import is_revision, is_shallow
from modelforge.review.sides import find_conf

TIMEOUT = 600
"""Seconds."""


def fetch_commits(names: Sequence[str], conf: Path | None) -> None:
    """Completes a shallow clone, and fetches revisions that it does not know, from `origin`.

    Args:
        names: Both sides as a person names them; folders and overrides among them are left alone.
        conf: The config folder; None for the default one.

    Raises:
        ForgeError: git cannot fetch.
    """
    folder = find_conf(conf)
    if is_shallow(folder):
        _fetch(folder, "--unshallow")
    for name in dict.fromkeys(end for side in names for end in side.split("...")):
        plain = bool(name) and "=" not in name and not name.startswith(("-", "~", "+", ".")) and not Path(name).exists()
        if plain and not is_revision(name, folder):
            _fetch(folder, f"+refs/heads/{name}:refs/remotes/origin/{name}")


def _fetch(folder: Path, what: str) -> None:
    order = (what, "origin") if what.startswith("--") else ("origin", what)
    try:
        done = run(folder, "fetch", "--no-tags", "--quiet", *order, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ForgeError([Problem("MF070", "--fetch", f"git cannot fetch: {error}")]) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise ForgeError([Problem("MF070", "--fetch", f"git cannot fetch: {said}", "fetch by hand, then compare")])
