"""changed_since: a revision → the config files that differ from it, and which configs read one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelforge.config.compose import compose
from modelforge.config.composition import Library
from modelforge.config.folder import default_conf
from modelforge.core.errors import ForgeError
from modelforge.review.affected import below
from modelforge.review.changed_files import changed_files
from modelforge.review.revision import merge_base
from modelforge.review.sides import find_conf, open_side


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
        return any(below(self.conf, one.document.file) in self.paths for one in config.origins.contributions)


def changed_since(base_ref: str, conf: Path | None) -> ChangedFiles:
    """The files of the working tree that differ from the commit where it left a revision.

    Args:
        base_ref: The revision, such as `origin/main`.
        conf: The config folder; None for the default one.

    Raises:
        ForgeError: git does not know the revision, or it has no such folder.
    """
    folder = conf if conf is not None else default_conf()
    commit = merge_base(base_ref, "HEAD", find_conf(conf))
    with open_side(commit, conf) as old, open_side(".", conf) as new:
        files, _ = changed_files(old, new)
    return ChangedFiles(folder, frozenset(file.path for file in files if not file.formatting or file.reordered))
