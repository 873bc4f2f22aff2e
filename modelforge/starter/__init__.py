"""A starter project: the configs that come with modelforge, a model and a package of its own, and what runs them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from modelforge.config.folder import shipped
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import listed

HERE = Path(__file__).parent
FILES: Mapping[str, str] = MappingProxyType(
    {
        "my_model.yaml": "conf/model/my_model.yaml",
        "train.py.txt": "train.py",
        "pyproject.toml.txt": "pyproject.toml",
        "package/init.py.txt": "{package}/__init__.py",
        "package/layers.py.txt": "{package}/layers.py",
        "package/inits.py.txt": "{package}/inits.py",
        "test_models.py.txt": "tests/test_models.py",
        "README.md": "README.md",
        "gitignore.txt": ".gitignore",
    }
)
"""Where each file of this folder goes."""
WELCOME = (".*", "LICENSE*", "COPYING*", "README*")
"""What a folder may hold before: what git, an editor or a host of repositories puts there. It stays as it is."""
TAKEN = ("conf", "runs", "tests", "train")
"""Names that the project has for something else than its package; `runs` is not in its repository."""


@dataclass(frozen=True)
class Created:
    """A new project."""

    files: tuple[Path, ...]
    """What was written, relative to the project's folder."""
    kept: tuple[str, ...] = ()
    """What was there under a name of the project's own, and stays as it was."""


def create(folder: Path) -> Created:
    """Makes a project that runs at once.

    Args:
        folder: Where; it is made, or holds nothing but what `WELCOME` lists.

    Raises:
        ForgeError: something else is there, or nothing can be written. Nothing is left half done.
    """
    place = Path(os.path.realpath(folder))
    try:
        if place.exists() and not place.is_dir():
            raise _refusal(folder, "it is a file", "choose another name")
        there = sorted(path.name for path in place.iterdir()) if place.exists() else []
        if others := [name for name in there if not any(fnmatchcase(name, glob) for glob in WELCOME)]:
            raise _refusal(
                folder, f"it holds {listed(others, 3, quote='`')}", "choose a new folder: nothing is overwritten"
            )
        with _made(place):
            return _fill(place)
    except OSError as error:
        raise _refusal(folder, (error.strerror or str(error)).lower(), "choose another place") from error


def package_of(name: str) -> str:
    """The package of a project: its name as Python can import it, and no other package has it.

    Example:
        >>> package_of("my-project"), package_of("3d nets"), package_of("torch"), package_of("class"), package_of("")
        ('my_project', 'my_3d_nets', 'my_torch', 'my_class', 'project')
    """
    package = re.sub(r"\W+", "_", name).strip("_").lower() or "project"
    known = package in TAKEN or package in sys.stdlib_module_names
    if known or not package.isidentifier() or iskeyword(package) or find_spec(package) is not None:
        return f"my_{package}"
    return package


@contextmanager
def _made(folder: Path) -> Generator[None]:
    """A folder for its body, with those above it; those that were not there before are removed if the body fails."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in missing:
            path.rmdir()
        raise


def _fill(folder: Path) -> Created:
    """Writes the project inside the folder, out of sight, and moves it to its place when it is whole."""
    moved: list[Path] = []
    kept: list[str] = []
    with TemporaryDirectory(dir=folder, prefix=".new-") as draft:
        project = Path(draft) / "project"
        _write(project, folder.name)
        for path in sorted(project.iterdir()):
            if os.path.lexists(folder / path.name):
                kept.append(path.name)
                path.unlink()
        found = sorted(path.relative_to(project) for path in project.rglob("*") if path.is_file())
        try:
            for path in sorted(project.iterdir()):
                moved.append(folder / path.name)
                path.rename(folder / path.name)
        except BaseException:
            for path in filter(Path.exists, moved):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            raise
    return Created(tuple(found), tuple(kept))


def _write(project: Path, name: str) -> None:
    conf = shipped()
    assert conf is not None, "wheels and checkouts have it"
    shutil.copytree(conf, project / "conf", ignore=shutil.ignore_patterns("local"))
    package = package_of(name)
    for source, target in FILES.items():
        path = project / target.replace("{package}", package)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (HERE / source).read_text(encoding="utf-8")
        path.write_text(text.replace("{name}", name).replace("{package}", package), encoding="utf-8")
    config = project / "conf" / "config.yaml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("- model: mlp     ", "- model: my_model"), encoding="utf-8"
    )


def _refusal(folder: Path, reason: str, hint: str) -> ForgeError:
    return ForgeError([Problem("MF072", str(folder), f"no project can be made in `{folder}`: {reason}", hint)])
