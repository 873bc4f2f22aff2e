"""walk: a folder → the files in it, pictures and others; `laid_out` sees folders that are parts and no classes."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelforge.core.errors import listed

PARTS = frozenset({"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"})
"""How people call the parts of their data."""
MAX_SHOWN = 5


@dataclass(frozen=True)
class Folder:
    """What lies in the folder of a class, at any depth."""

    path: Path
    pictures: tuple[Path, ...]
    others: tuple[Path, ...]
    """Files that do not end as pictures do, and links to folders: these are not followed."""
    inner: frozenset[str]
    """Names of the folders right in it."""

    @property
    def holds_folders_alone(self) -> bool:
        """Whether pictures lie in the folders in it, and none beside them."""
        return bool(self.inner) and all(path.parent != self.path for path in self.pictures)


def walk(root: Path, endings: Collection[str]) -> Folder:
    """Everything below `root`, in the order of the names, but for what is hidden: its name begins with a dot.

    Raises:
        OSError: a folder may not be read.
    """
    pictures, others, inner = list[Path](), list[Path](), frozenset[str]()
    for place, folders, names in os.walk(root, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if Path(place) == root:
            inner = frozenset(folders)
        others += [path for name in folders if (path := Path(place, name)).is_symlink()]
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            (pictures if path.suffix.lower() in endings else others).append(path)
    return Folder(root, tuple(sorted(pictures)), tuple(sorted(others)), inner)


def laid_out(folders: Sequence[Folder]) -> str:
    """Why the folders are parts of the data, as `train` and `val` are, and no classes; nothing where they are."""
    if len(folders) < 2 or not all(folder.holds_folders_alone for folder in folders):
        return ""
    names = folders[0].inner.union(*(folder.inner for folder in folders))
    same = len(names) > 1 and all(folder.inner == names for folder in folders)
    if same:
        return f"each holds folders of the same names, {listed(sorted(names), MAX_SHOWN, quote='`')}"
    called_so = {folder.path.name.lower() for folder in folders} <= PARTS
    return "they are called as parts of the data are, and hold folders" if called_so else ""


def _raise(error: OSError) -> None:
    raise error
