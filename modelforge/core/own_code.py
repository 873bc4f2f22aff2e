"""code_digest: the modules that projects name as plugins → one text, equal where the source of their packages is."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from modelforge.core.plugins import imported


def code_digest() -> str | None:
    """SHA-256 of the Python files of all packages that hold a plugin, as they were when it was first asked for.

    None where no project has named one.
    """
    packages = tuple(sorted({name.partition(".")[0] for name in imported()}))
    return _digest(packages) if packages else None


@cache
def _digest(packages: tuple[str, ...]) -> str:
    found = hashlib.sha256()
    for package in packages:
        for name, path in _files(package):
            with suppress(OSError):
                text = path.read_bytes()
                found.update(f"{package}/{name} {len(text)};".encode())
                found.update(text)
    return found.hexdigest()


def _files(package: str) -> Iterator[tuple[str, Path]]:
    """The files of a package that was imported, in order, each with its name in it; of a module the one it is."""
    module = sys.modules.get(package)
    if module is None:  # what runs here has forgotten it since
        return
    for folder in map(Path, getattr(module, "__path__", ())):
        paths = (path.relative_to(folder) for path in folder.rglob("*.py"))
        for name in sorted(path for path in paths if not any(part.startswith(".") for part in path.parts)):
            yield name.as_posix(), folder / name
    file = getattr(module, "__file__", None)
    if not hasattr(module, "__path__") and file is not None:
        yield "", Path(file)
