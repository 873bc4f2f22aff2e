"""Files that a `data` section names, and packages that read them: found and opened, or refused with the reason."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from glob import escape, glob, has_magic
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import torch
from rich.console import Console
from rich.progress import wrap_file

from modelforge.core.errors import ForgeError
from modelforge.core.memory import free
from modelforge.core.regular_files import NotRegular, kind_of, open_regular
from modelforge.train.data.refusals import fault, refusal

SHOWN = 20_000_000
"""Bytes of a file from which on its reading is shown."""
MANY = "tables written as Parquet can be a folder of files: `data=parquet`"
"""What a hint says of data in many files."""


def existing(path: str | None, *, folder: bool | None = False, key: str = "path") -> Path:
    """The file or folder at `path`, links followed; `~` is the home folder. Pipes, sockets and devices are not files.

    Args:
        path: Where it is.
        folder: Whether it must be a folder; None for a file or a folder.
        key: The field of the section that names it.

    Raises:
        ForgeError: no path is given, or there is nothing of the kind.
    """
    kind = "file or folder" if folder is None else "folder" if folder else "file"
    if not path:
        raise refusal(key, f"`{key}` names no {kind}", f"write `data.{key}=...`")
    found = _expanded(path, key)
    if not found.exists():
        pattern = f"it names one {kind}, and is no pattern; {MANY}" if has_magic(path) else ""
        raise refusal(key, f"there is no {kind} `{path}`", pattern or _nearest(found))
    there = kind_of(found.stat().st_mode) or "a file"
    if there not in ("a file", "a folder") or (folder is not None and folder != (there == "a folder")):
        hint = f"join its files into one; {MANY}" if folder is False and there == "a folder" else ""
        raise refusal(key, f"`{path}` is {there}, not a {kind}", hint or f"write `data.{key}=...`")
    return found


def matching(pattern: str, key: str = "files") -> list[Path]:
    """The files that match a glob, sorted by name; `**` goes through folders. An existing name is not a pattern.

    Raises:
        ForgeError: there is none.
    """
    exact = _expanded(pattern, key)
    if exact.exists() and not exact.is_dir():
        return [existing(pattern, key=key)]
    paths = sorted(path for path in map(Path, glob(str(exact), recursive=True)) if path.is_file())
    if not paths:
        inside = f"of all files in it: `data.{key}={escape(pattern.rstrip('/'))}/**`" if exact.is_dir() else ""
        raise refusal(key, f"no file matches `{pattern}`", inside or "see from which folder this runs, and the ending")
    return paths


def inside(folder: Path) -> list[Path]:
    """The files below a folder, sorted by name; its own name is not a pattern.

    Raises:
        ForgeError: there is none.
    """
    paths = sorted(path for name in glob("**", root_dir=folder, recursive=True) if (path := folder / name).is_file())
    if not paths:
        raise refusal("files", f"`{folder}` holds no file", "names that begin with a dot are left out")
    return paths


def opened(path: Path, key: str) -> BinaryIO:
    """A file open for reading; what has taken its place since it was checked is refused.

    Raises:
        ForgeError: it is not a regular file.
    """
    try:
        return open_regular(path)
    except NotRegular as error:
        raise refusal(key, f"`{path}` is {error.kind}, not a file", f"write `data.{key}=...`") from None


def read_utf8(paths: Iterable[Path], key: str, max_bytes: int) -> list[str]:
    """The texts of files, with line ends as they are.

    Raises:
        ForgeError: they are too large together, or bytes of one are not UTF-8.
    """
    paths = list(paths)
    named = f"`{paths[0]}`" if len(paths) == 1 else "the text"
    check_size(sum(path.stat().st_size for path in paths), max_bytes, named)
    return [_read_utf8(path, key) for path in paths]


def check_size(size: int, max_bytes: int, named: str, *, hint: str = "choose fewer rows or columns") -> None:
    """Checks the size of what is about to be held in memory.

    Args:
        size: Its number of bytes.
        max_bytes: The bound that the section declares.
        named: The data, in words.
        hint: What to do where the memory is too small.

    Raises:
        ForgeError: it exceeds the bound, or the free memory.
    """
    check_bound(size, max_bytes, named)
    unused = free(torch.device("cpu"))
    if unused is not None and size > unused:
        message = f"{named} takes {size:,} bytes, but this machine has {unused:,} bytes of free memory"
        raise ForgeError([fault("path", message, f"all data is held in memory: {hint}")])


def check_bound(size: int, max_bytes: int, named: str) -> None:
    """Checks a size against the bound that a section declares.

    Raises:
        ForgeError: it exceeds the bound.
    """
    if size > max_bytes:
        message = f"{named} takes {size:,} bytes, but `max_bytes` is {max_bytes:,}"
        raise ForgeError([fault("max_bytes", message, f"if memory holds them: `data.max_bytes={size}`")])


@contextmanager
def shown(file: BinaryIO, path: Path) -> Generator[BinaryIO]:
    """A file that shows on the terminal, where errors go, how much of it is read; a small one is as it is."""
    size = os.fstat(file.fileno()).st_size
    console = Console(stderr=True)
    if size < SHOWN or not console.is_terminal:
        yield file
        return
    with wrap_file(file, size, description=f"reading {path.name}", console=console, transient=True) as watched:
        yield watched


def extra(module: str, what: str, name: str = "train", key: str = "type") -> Any:
    """A module of a package that only some data needs; `name` is the extra that installs it, `key` asks for it.

    Raises:
        ForgeError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        message = f"{what} needs `{package}`, which is not installed"
        raise refusal(key, message, f"pip install 'modelforge[{name}]'") from None


def _read_utf8(path: Path, key: str) -> str:
    with opened(path, key) as file:
        raw = file.read(os.fstat(file.fileno()).st_size)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is 0x{raw[error.start]:02x}"
        wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "it begins as UTF-16 does: convert it" if wide else "convert it, or leave it out"
        raise refusal(key, f"`{path}` is not UTF-8: {byte}", hint) from None


def _expanded(path: str, key: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise refusal(key, f"`{path}` begins with the home folder of a user that this machine does not know") from None


def _nearest(path: Path) -> str:
    """The hint of a path that does not exist: how much of it does."""
    if path.is_symlink():
        return "it is a link that leads nowhere"
    parent = next((parent for parent in path.parents if parent.exists()), Path())
    return f"`{parent}` exists, but holds no `{path.relative_to(parent).parts[0]}`"
