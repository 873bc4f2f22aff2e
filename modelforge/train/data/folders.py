"""Folders of files: `walk` lists the files of one, `listing` those of a data set, with their classes and parts."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import listed
from modelforge.core.suggestions import did_you_mean
from modelforge.core.words import plural
from modelforge.train.data.files import existing
from modelforge.train.data.labels import ordered
from modelforge.train.data.parts import Rows
from modelforge.train.data.refusals import fault, refusal
from modelforge.train.data.source import SplitSource, new_data
from modelforge.train.data.split import PART_OF, split


@dataclass(frozen=True)
class Kind:
    """What the files of a data set are."""

    noun: str
    endings: frozenset[str]
    """How their names end."""


PICTURES = Kind(
    "picture", frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
)
MAX_SHOWN = 5


@dataclass(frozen=True)
class Folder:
    """The files below the folder of a class."""

    path: Path
    files: tuple[Path, ...]
    others: tuple[Path, ...]
    """Files that end otherwise, and links to folders: these are not followed."""
    inner: frozenset[str]
    """Names of the folders directly in it."""

    @property
    def holds_folders_alone(self) -> bool:
        """Whether files lie in its folders and none beside these."""
        return bool(self.inner) and all(path.parent != self.path for path in self.files)


@dataclass(frozen=True)
class Listing:
    """The files of a data set, class by class."""

    classes: tuple[str, ...]
    """Names of the folders, in their order."""
    files: tuple[Path, ...]
    labels: Rows
    """The class of each file."""
    parts: Rows | None
    """The part of each file, as a place in `PARTS`; None where folders do not say."""
    others: tuple[Path, ...]
    """Files that are left out."""


def walk(root: Path, endings: Collection[str] = PICTURES.endings) -> Folder:
    """Everything below `root`, sorted by name, except hidden files and folders: their names begin with a dot.

    Raises:
        OSError: a folder may not be read.
    """
    files, others, inner = list[Path](), list[Path](), frozenset[str]()
    for place, folders, names in os.walk(root, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if Path(place) == root:
            inner = frozenset(folders)
        others += [path for name in folders if (path := Path(place, name)).is_symlink()]
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            (files if path.suffix.lower() in endings else others).append(path)
    return Folder(root, tuple(sorted(files)), tuple(sorted(others)), inner)


def _raise(error: OSError) -> None:
    raise error


def listing(root: Path, *, by_part: bool, kind: Kind = PICTURES) -> Listing:
    """The files in a folder of classes, or, `by_part`, in a folder of parts such as `train` and `test`.

    Raises:
        ForgeError: the folders are not laid out so, or a class is empty.
    """
    return _by_part(root, kind) if by_part else _by_class(root, kind)


def _by_class(root: Path, kind: Kind) -> Listing:
    folders = _classes(root, kind)
    if reason := laid_out(folders):
        one = folders[0].path.name
        parts = all(folder.path.name.lower() in PART_OF for folder in folders)
        way = f"to use it as it is: `data.split=folders`; for one of them: `data.path={root / one}`"
        other = f"for one of them: `data.path={root / one}`; or put the pictures of a class right into its folder"
        raise refusal("path", f"the folders of `{root}` are not classes: {reason}", way if parts else other)
    if empty := list(_empty(root, folders, kind)):
        raise ForgeError(empty)
    sizes = [len(folder.files) for folder in folders]
    return Listing(
        tuple(folder.path.name for folder in folders),
        tuple(chain.from_iterable(folder.files for folder in folders)),
        np.repeat(np.arange(len(folders)), sizes),
        None,
        (*_loose(root), *chain.from_iterable(folder.others for folder in folders)),
    )


def _by_part(root: Path, kind: Kind) -> Listing:
    places = _part_folders(root)
    found, problems = dict[int, list[Folder]](), list[Problem]()
    for part, place in places.items():
        try:
            found[part] = _classes(place, kind)
        except ForgeError as error:
            problems += error.problems
    classes = tuple(folder.path.name for folder in found.get(0, ()))
    if classes:
        problems += _empty(places[0], found[0], kind)
        problems += chain.from_iterable(_strangers(found.get(part, ()), classes, places[0], kind) for part in (1, 2))
    if problems:
        raise ForgeError(problems)
    number = {name: index for index, name in enumerate(classes)}
    every = [(part, folder) for part, folders in found.items() for folder in folders]
    sizes = [len(folder.files) for _, folder in every]
    loose = chain(_loose(root), *map(_loose, places.values()))
    return Listing(
        classes,
        tuple(chain.from_iterable(folder.files for _, folder in every)),
        np.repeat([number[folder.path.name] for _, folder in every], sizes),
        np.repeat([part for part, _ in every], sizes),
        (*loose, *chain.from_iterable(folder.others for _, folder in every)),
    )


def _part_folders(root: Path) -> dict[int, Path]:
    """The folder of each part."""
    places, problems = dict[int, Path](), list[Problem]()
    for place in _folders(root):
        part = PART_OF.get(place.name.lower())
        if part is None:
            hint = did_you_mean(place.name.lower(), PART_OF)
            message = f"the folder `{place.name}` of `{root}` is not named as a part of the data"
            problems.append(fault("split", message, hint))
        elif part in places:
            message = f"the folders `{places[part].name}` and `{place.name}` of `{root}` both name the same part"
            problems.append(fault("split", message, "merge them, or rename one"))
        else:
            places[part] = place
    if 0 not in places or (len(places) == 1 and not problems):
        needed = "`train`" if 0 not in places else "`val` or `test` beside `train`"
        message = f"`split` is 'folders', but `{root}` has no folder {needed}"
        problems.append(fault("split", message, "for a random split of a folder of classes: `data.split=random`"))
    if problems:
        raise ForgeError(problems)
    return dict(sorted(places.items()))


def _strangers(folders: Sequence[Folder], classes: Sequence[str], train: Path, kind: Kind) -> Iterator[Problem]:
    """The problems of classes that the training part lacks."""
    for folder in folders:
        if folder.path.name not in classes and folder.files:
            part = f"`{folder.path.parent}`"
            message = f"{part} has {kind.noun}s of the class `{folder.path.name}`, and `{train}` has none"
            hint = (
                did_you_mean(folder.path.name, classes)
                or f"nothing can be learnt of it: bring {kind.noun}s to train on"
            )
            yield fault("path", message, hint)


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _loose(root: Path) -> list[Path]:
    """Files that lie beside the folders."""
    return [path for path in sorted(root.iterdir()) if not path.name.startswith(".") and not path.is_dir()]


def _classes(root: Path, kind: Kind) -> list[Folder]:
    """The folders of the classes, in the order of their names.

    Raises:
        ForgeError: no such file lies in a folder.
    """
    places = {path.name: path for path in _folders(root)}
    folders = [walk(places[name], kind.endings) for name in ordered(places)]
    if not any(folder.files for folder in folders):
        lacks = (
            f"no folder in `{root}` holds a {kind.noun}" if folders else f"`{root}` has no folders with {kind.noun}s"
        )
        raise refusal("path", lacks, f"one folder per class; files end in {', '.join(sorted(kind.endings))}")
    return folders


def _empty(root: Path, folders: Sequence[Folder], kind: Kind) -> Iterator[Problem]:
    for folder in folders:
        if not folder.files:
            message = f"the class `{folder.path.name}` of `{root}` has no {kind.noun}"
            yield fault("path", message, "remove the folder, or fill it")


def laid_out(folders: Sequence[Folder]) -> str:
    """The reason why folders are parts of the data, such as `train` and `val`, and not classes; empty for classes."""
    if len(folders) < 2 or not all(folder.holds_folders_alone for folder in folders):
        return ""
    names = folders[0].inner.union(*(folder.inner for folder in folders))
    same = len(names) > 1 and all(folder.inner == names for folder in folders)
    if same:
        return f"each holds folders of the same names, {listed(sorted(names), MAX_SHOWN, quote='`')}"
    called_so = {folder.path.name.lower() for folder in folders} <= {*PART_OF, "eval"}
    return "they are called as parts of the data are, and hold folders" if called_so else ""


def parted(source: SplitSource, parts: Rows | None, labels: Rows) -> tuple[Rows, Rows, Rows]:
    """The rows of each part, as folders say if they do; a part without a folder is drawn from the one to train on."""
    if parts is None:
        return split(source, len(labels), labels)
    train, val, test = (np.flatnonzero(parts == part) for part in range(3))
    if len(val) and len(test):
        return train, val, test
    kept, for_val, for_test = (train[rows] for rows in split(source, len(train), labels[train]))
    if len(val):
        return np.union1d(kept, for_val), val, for_test
    return np.union1d(kept, for_test), for_val, test


def left_out(root: Path, paths: Sequence[Path], kind: Kind = PICTURES) -> Iterator[Problem]:
    """The warning about files that are none of the data set."""
    if paths:
        one = f"lies in no class or does not end as {kind.noun}s do, and is"
        verbs = one if len(paths) == 1 else f"lie in no class or do not end as {kind.noun}s do, and are"
        names = listed([path.relative_to(root) for path in paths], MAX_SHOWN, quote="`")
        message = f"{plural(len(paths), 'file')} in `{root}` {verbs} left out: {names}"
        yield Problem("MW201", "data.path", message, severity="warning")


@dataclass(frozen=True)
class PictureFiles(Sequence[Path]):
    """The pictures below a folder, or one picture."""

    column_names: ClassVar = ("file",)
    """What `modelforge predict --keep` can put beside the predictions."""

    root: Path
    paths: tuple[Path, ...]

    def __getitem__(self, index: Any) -> Any:
        if index in self.column_names:
            return [path.relative_to(self.root).as_posix() for path in self.paths]
        return self.paths[index]

    def __len__(self) -> int:
        return len(self.paths)


def pictures_in(path: Path) -> PictureFiles:
    """The pictures in a folder, at any depth, or one picture.

    Raises:
        ForgeError: there is none.
    """
    if not path.is_dir():
        return PictureFiles(path.parent, (existing(str(path)),))
    if pictures := walk(path).files:
        return PictureFiles(path, pictures)
    raise new_data(f"no picture lies in `{path}`", f"files end in {', '.join(sorted(PICTURES.endings))}")


def labelled_by(raw: Any, classes: Sequence[str]) -> tuple[Sequence[Any], Rows]:
    """Pictures with the numbers of their classes.

    Args:
        raw: Pictures in folders that are called as their classes, or a pair of pictures and names of classes.
        classes: The names of all classes.

    Raises:
        ForgeError: a picture has no class, or one that is not in `classes`.
    """
    if not isinstance(raw, PictureFiles):
        pictures, names = raw
    else:
        inner = [path.relative_to(raw.root).parts for path in raw.paths]
        if loose := [parts[0] for parts in inner if len(parts) == 1]:
            message = (
                f"{plural(len(loose), 'picture')} in `{raw.root}` {'lies' if len(loose) == 1 else 'lie'} in no class"
            )
            raise new_data(f"{message}: {listed(loose, MAX_SHOWN, quote='`')}", "one folder per class")
        pictures, names = raw.paths, [parts[0] for parts in inner]
    number = {name: place for place, name in enumerate(classes)}
    if strangers := sorted({*map(str, names)} - {*classes}):
        what = "is not a class" if len(strangers) == 1 else "are not classes"
        message = f"{listed(strangers, MAX_SHOWN, quote='`')} {what} of the run"
        hint = f"its classes: {listed(classes, MAX_SHOWN, quote='`')}"
        if isinstance(raw, PictureFiles) and all(name.lower() in PART_OF for name in strangers):
            hint = f"for one part of the data: `data.path={raw.root / strangers[0]}`"
        raise new_data(message, hint)
    return pictures, np.array([number[str(name)] for name in names], np.int64)
