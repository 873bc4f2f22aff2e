"""changed_code: two sides → the modules of the project's plugins that differ between them.

What such code does to a network is not compared: a review says so, in place of "no difference".
"""

from __future__ import annotations

import os
from contextlib import suppress

from modelforge.core.errors import ForgeError
from modelforge.core.git import run
from modelforge.core.project import find_project
from modelforge.review.revision import commit_of, root_of
from modelforge.review.sides import Side

REASON = "code of the project's plugins: what it does is not compared"
_UNTRACKED = ("ls-files", "--others", "--exclude-standard", "-z")
_DIFF = ("diff", "--name-only", "-z", "--no-ext-diff", "--no-textconv", "--no-renames")


def has_plugins() -> bool:
    """Whether the project around the working folder names modules that may register layers and initializers."""
    with suppress(ForgeError):
        project = find_project()
        return project is not None and bool(project.plugins)
    return False


def changed_code(old: Side, new: Side) -> tuple[str, ...]:
    """The files of Python that differ between two revisions, or a revision and the working tree, in the packages of the
    plugins that `pyproject.toml` names; by their paths in the repository."""
    with suppress(ForgeError):
        project = find_project()
        root = root_of(project.folder) if project else None
        revisions = [side for side in (old, new) if side.kind == "revision"]
        if project and root and revisions:
            commits = [commit_of(side.name, root) for side in revisions]
            folder = os.path.relpath(project.folder.resolve(), root)
            names = dict.fromkeys(plugin.partition(".")[0] for plugin in project.plugins)
            places = [os.path.join(folder, base, name) for name in names for base in ("", "src")]
            where = ("--", *places, *(f"{place}.py" for place in places))
            said = run(root, *_DIFF, *commits, *where).stdout
            if len(revisions) == 1:
                said += run(root, *_UNTRACKED, *where).stdout
            return tuple(path for path in os.fsdecode(said).split("\0") if path.endswith(".py"))
    return ()
