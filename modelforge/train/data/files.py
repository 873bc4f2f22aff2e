"""Files that a `data` section names: found and read, or refused with the reason."""

from __future__ import annotations

from glob import glob
from pathlib import Path

from modelforge.train.data.refusals import refusal


def existing(path: str | None, *, folder: bool = False, key: str = "path") -> Path:
    """The file or folder at `path`; `~` is the home folder.

    Raises:
        ForgeError: no path is given, or there is nothing of the kind.
    """
    kind, other = ("folder", "file") if folder else ("file", "folder")
    if path is None:
        raise refusal(key, f"`{key}` names no {kind}", f"write `data.{key}=...`")
    found = Path(path).expanduser()
    if not found.exists():
        raise refusal(key, f"there is no {kind} `{path}`", _nearest(found))
    if found.is_dir() != folder:
        raise refusal(key, f"`{path}` is a {other}, not a {kind}", f"write `data.{key}=...`")
    return found


def matching(pattern: str, key: str = "files") -> list[Path]:
    """The files that a glob means, in the order of their names; `**` goes through folders.

    Raises:
        ForgeError: there is none.
    """
    paths = sorted(path for path in map(Path, glob(str(Path(pattern).expanduser()), recursive=True)) if path.is_file())
    if not paths:
        inside = f"of all files in it: `data.{key}={pattern.rstrip('/')}/**`" if Path(pattern).is_dir() else ""
        raise refusal(key, f"no file matches `{pattern}`", inside or "see from which folder this runs, and the ending")
    return paths


def read_utf8(path: Path, key: str) -> str:
    """The text of a file, with line ends as they are.

    Raises:
        ForgeError: its bytes are no UTF-8.
    """
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is 0x{raw[error.start]:02x}"
        raise refusal(key, f"`{path}` is not UTF-8: {byte}", "convert it, or leave it out") from None


def _nearest(path: Path) -> str:
    """As far as the path leads."""
    parent = next((parent for parent in path.parents if parent.exists()), Path())
    return f"`{parent}` is there, `{path.relative_to(parent).parts[0]}` in it is not"
