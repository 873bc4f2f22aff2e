"""changed_since: a revision → the config files that differ from it, and which configs read one of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelforge.config.compose import compose
from modelforge.config.composition import Library
from modelforge.config.folder import own_conf
from modelforge.core.errors import ForgeError
from modelforge.review.affected import below
from modelforge.review.changed_files import changed_files
from modelforge.review.revision import merge_base
from modelforge.review.sides import open_side


@dataclass(frozen=True)
class ChangedFiles:
    """Files of a config folder that differ from a revision in more than formatting, by their paths below it."""

    conf: Path
    paths: frozenset[str]

    def touch(self, overrides: Sequence[str], library: Library) -> bool:
        """Whether a config reads one of them, or cannot be composed, which one of them may be the reason of."""
        if not self.paths:
            return False
        try:
            config = compose(self.conf, overrides, library=library)
        except ForgeError:
            return True
        # What a file is called when shown depends on where one stands.
        conf, files = os.path.abspath(self.conf), (one.document.file for one in config.origins.contributions)
        return any(below(conf, os.path.abspath(file)) in self.paths for file in files)


def changed_since(base_ref: str, conf: Path | None) -> ChangedFiles:
    """The files of the working tree that differ from the commit where it left a revision.

    Args:
        base_ref: The revision, such as `origin/main`.
        conf: The config folder; None for `./conf`.

    Raises:
        ForgeError: there is no such folder, git does not know the revision, or it has no such folder.
    """
    folder = conf if conf is not None else own_conf()
    commit = merge_base(base_ref, "HEAD", folder)
    with open_side(commit, folder) as old, open_side(".", folder) as new:
        files, _ = changed_files(old, new)
    return ChangedFiles(folder, frozenset(file.path for file in files if not file.formatting or file.reordered))
