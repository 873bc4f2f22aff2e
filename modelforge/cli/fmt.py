"""fmt, upgrade: config files → the same configs in canonical form, or in the present version of the language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import unified_diff
from pathlib import Path
from typing import TypeVar

from yaml import MappingNode

from modelforge.cli.answer import Answer
from modelforge.config.document import Document
from modelforge.config.folder import check_conf, own_conf
from modelforge.config.nodes import items
from modelforge.config.source import check_nodes
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import write_atomically
from modelforge.core.quoting import printable
from modelforge.core.words import plural
from modelforge.language.formatting import formatted
from modelforge.language.migrations import upgraded, with_version
from modelforge.language.version import KEY, VERSION, check_version

Result = TypeVar("Result")


def fmt(paths: Sequence[Path], conf: Path | None, *, check: bool, diff: bool) -> Answer:
    """Formats config files.

    Args:
        paths: Files and folders; none for the config folder.
        conf: The config folder; None for the default one.
        check: Whether to write nothing, and to have status 1 where a file would change.
        diff: Whether to write nothing, and to print the changes.

    Raises:
        ForgeError: a file cannot be read; then none is written.
    """
    documents = [*_documents(paths or [conf or own_conf()])]
    texts = _each(documents, lambda path, document: formatted(document, group_of(path)))
    changed = [(path, document.text, text) for (path, document), text in zip(documents, texts, strict=True)]
    changed = [item for item in changed if item[1] != item[2]]
    write = not (check or diff)
    lines = [line for item in changed for line in (_differences(*item) if diff else [_named(item[0], write)])]
    _write(changed, write=write)
    verb = "formatted" if write else "would be formatted"
    lines.append(
        f"{plural(len(changed), 'file')} {verb}, {plural(len(documents) - len(changed), 'file')} left unchanged"
    )
    data = {"files": len(documents), "changed": [path.as_posix() for path, *_ in changed], "written": write}
    return Answer(data, "".join(f"{line}\n" for line in lines), status=int(check and bool(changed)))


def upgrade(conf: Path | None, *, check: bool) -> Answer:
    """Brings a config folder to the present version of the language.

    Args:
        conf: The config folder; None for the default one.
        check: Whether to write nothing, and to have status 1 where a file would change.

    Raises:
        ForgeError: a file cannot be read, or is written for a later version; then none is written.
    """
    folder = conf or own_conf()
    version = _version(folder)
    documents = [*_documents([folder])]
    results = _each(documents, lambda path, document: upgraded(document, group_of(path), version))
    lines: list[str] = []
    changed: list[tuple[Path, str, str]] = []
    for (path, document), (text, steps) in zip(documents, results, strict=True):
        if path == folder / "config.yaml" and version != VERSION:
            text = with_version(Document(document.file, text))
            lines.append(f"{path}: `{KEY}: {VERSION}`")
        if text != document.text:
            changed.append((path, document.text, text))
            lines += [f"{path}: {step.title}" for step in steps]
    _write(changed, write=not check)
    if not changed:
        lines.append(f"all {plural(len(documents), 'file')} are of version {VERSION}")
    data = {"version": VERSION, "from": version, "changed": [path.as_posix() for path, *_ in changed]}
    text = "".join(f"{printable(line)}\n" for line in lines)
    return Answer(data, text, status=int(check and bool(changed)))


def group_of(path: Path) -> str:
    """The config group of a file: its folder below that of the primary config, or its folder's name."""
    folder = path.absolute().parent
    for above in (folder, *folder.parents):
        if (above / "config.yaml").is_file():
            return "" if folder == above else folder.relative_to(above).as_posix()
    return folder.name


def _documents(paths: Sequence[Path]) -> Iterator[tuple[Path, Document]]:
    """The config files of files and folders; of folders those that are hidden, and links, are left out."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            below = (one for one in sorted(path.rglob("*.yaml")) if one.is_file() and not one.is_symlink())
            hidden = (one for one in below if not any(part.startswith(".") for part in one.relative_to(path).parts))
            found |= dict.fromkeys(hidden)
        else:
            found[path] = None
    problems: list[Problem] = []
    documents: list[tuple[Path, Document]] = []
    for path in found:
        try:
            document = Document.read(path, path.as_posix())
            check_nodes([document], document.file)
            documents.append((path, document))
        except ForgeError as error:
            problems += error.problems
        except OSError as error:
            message = f"`{path}` cannot be read: {(error.strerror or str(error)).lower()}"
            problems.append(Problem("MF001", str(path), message))
    if problems:
        raise ForgeError(problems)
    yield from documents


def _each(documents: Sequence[tuple[Path, Document]], change: Callable[[Path, Document], Result]) -> list[Result]:
    """The result of each file; the problems of all files together."""
    results: list[Result] = []
    problems: list[Problem] = []
    for path, document in documents:
        try:
            results.append(change(path, document))
        except ForgeError as error:
            problems += error.problems
    if problems:
        raise ForgeError(problems)
    return results


def _version(folder: Path) -> int:
    """The version that a config folder is written for; 0 where it does not say."""
    check_conf(folder, "config")
    path = folder / "config.yaml"
    document = Document.read(path, path.as_posix())
    values = document.load()
    if KEY not in values:
        return 0
    version = values[KEY]
    if type(version) is int and 0 <= version <= VERSION:
        return version
    assert isinstance(document.root, MappingNode)
    place = document.place(items(document.root)[KEY][1])
    raise ForgeError(problem.at(place) for problem in check_version({KEY: version}))


def _write(changed: Sequence[tuple[Path, str, str]], *, write: bool) -> None:
    for path, _, text in changed if write else ():
        write_atomically(path.resolve(), text, str(path))


def _differences(path: Path, old: str, new: str) -> Iterator[str]:
    name = path.as_posix()
    lines = unified_diff(old.splitlines(), new.splitlines(), name, name, lineterm="")
    yield from map(printable, lines)


def _named(path: Path, write: bool) -> str:
    return printable(f"{'formatted' if write else 'would format'} {path.as_posix()}")
