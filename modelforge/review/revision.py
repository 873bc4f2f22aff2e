"""A git revision's configs, copied into a temporary folder.

Git's objects are read as they are: nothing is checked out, and no hook, filter or attribute has a say.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
import subprocess
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.git import GIT, run
from modelforge.core.limits import MAX_FILES, MAX_LISTING_BYTES, MAX_REVISION_BYTES
from modelforge.core.quoting import printable
from modelforge.core.suggestions import did_you_mean

_HASH = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b")


MAX_LINKS = 8
"""Links that lead to one another, and at last to a file."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a copy of a revision does not have."""

    path: str
    """Below the folder."""
    what: str
    """`link to ../other.yaml`, or `submodule at 0123456789ab`."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A folder of a revision, on disk."""

    folder: Path
    left_out: tuple[LeftOut, ...] = ()
    """Submodules, and links that lead to no file of the folder."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file in one of git's trees, or a link, whose content is where it leads."""

    path: str
    blob: bytes
    size: int


def short(name: str) -> str:
    """A name, or a range, for a person to read: of a full hash the beginning.

    >>> short("0123456789abcdef0123456789abcdef01234567...main"), short("main")
    ('0123456789ab...main', 'main')
    """
    return _HASH.sub(lambda found: found[0][:12], name)


def is_revision(name: str, folder: Path) -> bool:
    """Whether git knows a commit of that name in the repository around `folder`, which need not exist any more."""
    try:
        return bool(_object(folder, f"{name}^{{commit}}"))
    except (OSError, ValueError):
        return False  # there is no git, or no revision can have such a name


def commit_of(name: str, folder: Path) -> str:
    """The commit of a side's name, which may end with a folder: `HEAD~1:configs`."""
    whole = _object(folder, f"{name}^{{commit}}")
    return whole or _object(folder, f"{name.partition(':')[0]}^{{commit}}")


def root_of(folder: Path) -> Path | None:
    """The root of the repository around a folder; None where there is none, or no git."""
    try:
        said = _git(folder, "rev-parse", "--show-toplevel").removesuffix(b"\n")
    except FileNotFoundError:
        return None
    return Path(os.fsdecode(said)).resolve() if said else None


def merge_base(old: str, new: str, folder: Path) -> str:
    """The commit at which two revisions parted.

    Raises:
        ForgeError: one of them is unknown, or they have no such commit here.
    """
    for name in (old, new):
        if not is_revision(name, folder):
            raise ForgeError([unknown(name, folder, "is not a git revision")])
    commits = [_object(folder, f"{name}^{{commit}}") for name in (old, new)]
    found = _git(folder, "merge-base", *commits).decode().strip()
    if not found:
        hint = _deepen(folder) or f"to compare the two themselves: `{old}..{new}`"
        raise ForgeError([Problem("MF070", f"{old}...{new}", f"`{old}` and `{new}` have no common commit here", hint)])
    return found


def unknown(name: str, folder: Path, what: str) -> Problem:
    """The problem that git knows no such revision, with its cause and a way out."""
    message = f"`{name}` {what}"
    try:
        done = run(folder, "rev-parse", "--git-dir")
    except FileNotFoundError:
        return Problem("MF070", name, f"{message}: there is no `git` here", "install git, or name two folders")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0].removeprefix("fatal: ")
        return Problem("MF070", name, message, f"git says: {said}")
    if not _object(folder, "HEAD^{commit}"):
        return Problem("MF070", name, message, "the repository has no commit yet")
    refs = _git(folder, "for-each-ref", "--format=%(refname:short)").decode(errors="replace").split("\n")
    remote = next((ref for ref in refs if ref.partition("/")[2] == name), None)
    hint = f"did you mean `{remote}`?" if remote else _deepen(folder) or did_you_mean(name, filter(None, refs))
    return Problem("MF070", name, message, hint if remote or "did you mean" in hint or "shallow" in hint else "")


def is_shallow(folder: Path) -> bool:
    """Whether the repository around a folder lacks commits, as a clone with `--depth` does."""
    return _git(folder, "rev-parse", "--is-shallow-repository").strip() == b"true"


def _deepen(folder: Path) -> str:
    if not is_shallow(folder):
        return ""
    return "this clone is shallow and lacks most commits: `git fetch --unshallow origin` brings them, or `diff --fetch`"


@contextmanager
def extracted(revision: str, folder: Path) -> Generator[Copy]:
    """A copy of `folder` as it was in `revision`, gone when the context ends.

    A link to a file of the folder becomes a file; other links, and submodules, are left out.

    Raises:
        ForgeError: the folder was not there, is too large, or holds names that lead out of it.
    """
    with tempfile.TemporaryDirectory(prefix="modelforge-") as scratch:
        try:
            files, left_out = _read(revision, folder)
            for path, content in files:
                place = Path(scratch, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        except Refusal as refusal:
            raise ForgeError([Problem(refusal.code, revision, refusal.reason, refusal.hint)]) from None
        except OSError as error:
            message = f"`{folder}` of the revision `{revision}` cannot be copied: {error.strerror}"
            raise ForgeError([Problem("MF070", revision, message)]) from None
        yield Copy(Path(scratch), left_out)


def _read(revision: str, folder: Path) -> tuple[Iterator[tuple[str, bytes]], tuple[LeftOut, ...]]:
    """Path below `folder` and content of every file, as the revision has them; and what is left out."""
    what = f"`{folder}` of the revision `{short(revision)}`"
    root, tree = _tree(revision, folder)
    files: list[_File] = []
    links: list[_File] = []
    left_out: list[LeftOut] = []
    for line in _list(root, tree, what):
        facts, _, name = line.partition(b"\t")
        mode, kind, blob, size = facts.split()
        path = os.fsdecode(name)
        # Git writes no such path itself, but a tree can be made by hand.
        if "\\" in path or {"", ".", ".."} & set(path.split("/")):
            raise Refusal(f"{what} holds a name that leads out of it: `{path}`", code="MF070")
        if kind == b"commit":
            left_out.append(LeftOut(path, f"submodule at {blob.decode()[:12]}"))
        elif kind == b"blob":
            if not size.isdigit():
                raise _missing(what)
            (links if mode == b"120000" else files).append(_File(path, blob, int(size)))
    _check_size([*files, *links], what)
    targets = dict(zip((link.path for link in links), _contents(root, links, what), strict=True))
    known = {file.path: file for file in files}
    for path in targets:
        if (found := known.get(_end(path, targets))) is None:
            left_out.append(LeftOut(path, f"link to {printable(os.fsdecode(targets[path]))}"))
        else:
            files.append(_File(path, found.blob, found.size))
    _check_size(files, what)
    return zip((file.path for file in files), _contents(root, files, what), strict=True), tuple(left_out)


def _check_size(files: Sequence[_File], what: str) -> None:
    if sum(file.size for file in files) > MAX_REVISION_BYTES:
        raise Refusal(f"{what} holds more than {MAX_REVISION_BYTES >> 20} MiB", code="MF060")


def _end(path: str, targets: Mapping[str, bytes]) -> str:
    """Where a link leads in the end, by way of others; of one that leads out, or in a circle, no path of a file.

    >>> _end("a/b", {"a/b": b"../c", "c": b"d"}), _end("a", {"a": b"../a"}), _end("a", {"a": b"/etc/hosts"})
    ('d', '../a', '/etc/hosts')
    """
    for _ in range(MAX_LINKS):
        if path not in targets:
            return path
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), os.fsdecode(targets[path])))
    return ""


def _tree(revision: str, folder: Path) -> tuple[Path, str]:
    """The root of the repository, and the tree that `folder` was."""
    root = root_of(folder)
    if root is None:
        raise Refusal(f"there is no working tree of git around `{folder}`", "go to a folder of one", "MF070")
    place = folder.resolve()
    commit = _object(root, f"{revision}^{{commit}}")
    below = ""
    if commit and place.is_relative_to(root):
        below = "" if place == root else place.relative_to(root).as_posix()
        # `commit:path` takes any path for itself, never for a pattern.
        found = _object(root, f"{commit}:{below}")
        if found and (tree := _object(root, f"{found}^{{tree}}")):
            return root, tree
    message = f"there is no folder `{folder}` in the revision `{short(revision)}`"
    raise Refusal(message, _elsewhere(root, revision, commit, below), "MF070")


def _elsewhere(root: Path, revision: str, commit: str, below: str) -> str:
    """A hint at where the revision keeps its configs, if not in the folder of that name."""
    if below and _git(root, "ls-tree", commit, "--", below).startswith(b"160000"):
        return f"it is a submodule there: `git submodule update --init`, and compare inside `{below}`"
    listed = _git(root, "ls-tree", "-r", "-z", "--name-only", commit)[:MAX_LISTING_BYTES].split(b"\0")
    folders = [os.fsdecode(name.rpartition(b"/")[0]) for name in listed if name.endswith(b"/config.yaml")]
    if not folders:
        return "name another one: `--conf DIR`"
    return f"it has a `config.yaml` in `{folders[0]}`: name that side `{short(revision)}:{folders[0]}`"


def _list(root: Path, tree: str, what: str) -> list[bytes]:
    """One line for each file and folder below a tree: mode, type, object, size, path."""
    # As a stream: a tree that holds another tree a thousand times, ten levels deep, has no end.
    command = [*GIT, "ls-tree", "-r", "-t", "-l", "-z", tree]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as git:
        assert git.stdout is not None
        listing = git.stdout.read(MAX_LISTING_BYTES)
        lines = listing.split(b"\0")[:-1]
        if len(listing) == MAX_LISTING_BYTES or len(lines) > MAX_FILES:
            git.kill()
            raise Refusal(f"{what} holds more than {MAX_FILES:,} files and folders", code="MF060")
    if git.returncode:
        raise _missing(what)
    return lines


def _contents(root: Path, files: Iterable[_File], what: str) -> Iterator[bytes]:
    names = b"".join(file.blob + b"\n" for file in files)
    said = io.BytesIO(_git(root, "cat-file", "--batch", given=names))
    for file in files:
        if said.readline() != b"%s blob %d\n" % (file.blob, file.size):
            raise _missing(what)
        yield said.read(file.size)
        said.read(1)


def _missing(what: str) -> Refusal:
    return Refusal(f"{what} cannot be read: an object is missing from the repository", code="MF070")


def _object(folder: Path, name: str) -> str:
    """The object of that name; empty where there is none."""
    return _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", name).decode().strip()


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    """What git says about a folder, which need not exist any more."""
    return run(folder, *arguments, given=given).stdout
