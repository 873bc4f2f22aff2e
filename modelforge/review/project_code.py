"""changed_code: two sides → the modules of the project's plugins that differ between them.

What such code does to a network is not compared: a review says so, in place of "no difference".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from modelforge.core.errors import ForgeError
from modelforge.core.git import run
from modelforge.core.limits import MAX_CONFIG_BYTES
from modelforge.core.project import FILE, Project, find_project, parse_project
from modelforge.review.revision import commit_of, root_of
from modelforge.review.sides import Side

_UNTRACKED = ("--literal-pathspecs", "ls-files", "--others", "--exclude-standard", "-z")
_DIFF = ("--literal-pathspecs", "diff", "--name-only", "-z", "--no-ext-diff", "--no-textconv", "--no-renames")


def why_not_compared(path: str) -> str:
    """Why a file that `changed_code` gives is not compared."""
    if path.endswith(FILE):
        return "it names other plugins: what they do is not compared"
    return "code of the project's plugins: what it does is not compared"


def has_plugins() -> bool:
    """Whether the project around the working folder names modules that may register layers and initializers."""
    with suppress(ForgeError):
        project = find_project()
        return project is not None and bool(project.plugins)
    return False


def changed_code(old: Side, new: Side) -> tuple[str, ...]:
    """The files of Python that differ between two revisions, or a revision and the working tree, in the packages of the
    plugins that a `pyproject.toml` names on either side; and that file, where it names others. By their paths in the
    repository. The file is looked for above the config folder, and above the working folder.
    """
    revisions = [side for side in (old, new) if side.kind == "revision"]
    places = [Path(side.shown_as).resolve() for side in revisions]
    root = root_of(places[0]) if places else None
    if root is None:
        return ()
    commits = [commit_of(side.name, root) for side in revisions]
    starts = dict.fromkeys(place for place in (*places, Path().resolve()) if place.is_relative_to(root))
    return tuple(dict.fromkeys(path for start in starts for path in _changed_code(start, root, commits)))


def _changed_code(start: Path, root: Path, commits: Sequence[str]) -> Iterator[str]:
    """The same of the project around a folder, between two commits, or one and the working tree."""
    found = [_project_of(commit, start, root) for commit in commits]
    if len(commits) == 1:
        found.append(_project_here(start, root))
    projects = [project for project in found if project is not None]
    if len({frozenset() if project is None else frozenset(project.plugins) for project in found}) > 1:
        yield projects[0].file.as_posix()
    places = dict.fromkeys(place for project in projects for place in _places(project))
    if places:
        where = ("--", *places, *(f"{place}.py" for place in places))
        said = run(root, *_DIFF, *commits, *where).stdout
        said += run(root, *_UNTRACKED, *where).stdout if len(commits) == 1 else b""
        yield from (path for path in os.fsdecode(said).split("\0") if path.endswith(".py"))


def _places(project: Project) -> Iterator[str]:
    """Where the packages of a project's plugins may lie."""
    for name in dict.fromkeys(plugin.partition(".")[0] for plugin in project.plugins):
        yield from (os.path.join(project.folder, base, name) for base in ("", "src"))


def _project_here(start: Path, root: Path) -> Project | None:
    """The project around a folder of the working tree, by its path in the repository."""
    with suppress(ForgeError):
        project = find_project(start)
        if project is not None and (file := project.file.resolve()).is_relative_to(root):
            return replace(project, file=file.relative_to(root))
    return None


def _project_of(commit: str, start: Path, root: Path) -> Project | None:
    """The project around a folder as it is in a revision, by its path in the repository."""
    here = start.relative_to(root)
    for folder in (here, *here.parents):
        file = folder / FILE
        text = run(root, "cat-file", "blob", f"{commit}:{file.as_posix()}").stdout
        with suppress(ForgeError, UnicodeDecodeError):
            if len(text) <= MAX_CONFIG_BYTES and (project := parse_project(file, text.decode())):
                return project
    return None
