"""No edit of what a config says is missed, and no edit of how it is written is reported."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from modelforge.core.errors import ForgeError
from modelforge.review.affected import Entry, Reach
from modelforge.review.changed_files import FileDiff, changed_files, content
from modelforge.review.sides import Side
from tests.review.mutations import FORMATTING, SEMANTIC, Mutation, order
from tests.review.trees import CONF, review

FILES = tuple(sorted(path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml")))
ALL = (pytest.mark.slow, pytest.mark.thorough)
EVERY = pytest.mark.parametrize(
    ("files", "number"),
    [pytest.param(FILES[::4], 1, id="some"), pytest.param(FILES, 4, id="all", marks=ALL)],
)
"""Files of which each kind of edit is made, and how often in each."""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two empty config folders, `old` and `conf`."""
    monkeypatch.chdir(tmp_path)
    for folder in ("old", "conf"):
        (tmp_path / folder).mkdir()
    return tmp_path


def mutated(mutations: Sequence[Mutation], files: Sequence[str], number: int) -> Iterator[tuple[str, str, str, str]]:
    """File, text before and after, and the name of the edit: of each kind so many in each file that has a place."""
    for file in files:
        text = (CONF / file).read_text(encoding="utf-8")
        for mutation in mutations:
            for seed in range(number):
                new = mutation(text, Random(f"{file} {mutation.__name__} {seed}"))
                if new is not None and new != text:
                    yield file, text, new, f"{file}: {mutation.__name__} {seed}"


def changed(folders: Path, file: str, old: str, new: str) -> FileDiff:
    for folder, text in (("old", old), ("conf", new)):
        path = folders / folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    ((found,), _) = changed_files(*(Side(name, "folder", folders / name, name) for name in ("old", "conf")))
    for folder in ("old", "conf"):
        (folders / folder / file).unlink()
    return found


@EVERY
def test_every_edit_of_a_file_is_seen(folders: Path, files: Sequence[str], number: int):
    found = list(mutated(SEMANTIC, files, number))
    missed = [name for file, old, new, name in found if changed(folders, file, old, new).formatting]
    assert len(found) > 100
    assert missed == []


@EVERY
def test_no_edit_of_its_formatting_is_seen(folders: Path, files: Sequence[str], number: int):
    found = list(mutated(FORMATTING, files, number))
    seen = [name for file, old, new, name in found if not changed(folders, file, old, new).formatting]
    assert len(found) > 100
    assert seen == []


def folders_with(folders: Path, file: str, old: str, new: str) -> None:
    """Fills both folders with the file, and with those that compositions with it read."""
    side = Side("conf", "folder", CONF, "conf")
    contents = {path: found for path in FILES if (found := content(side, path)) is not None}
    reach = Reach(side, contents, ())
    group, _, option = file.removesuffix(".yaml").rpartition("/")
    entry = Entry("", (f"{group}={option}",), file=file) if group else Entry("")
    for path in {*reach.may_read(Entry("")), *reach.may_read(entry)}:
        for folder in ("old", "conf"):
            target = folders / folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CONF / path, target)
    for folder, text in (("old", old), ("conf", new)):
        (folders / folder / file).write_bytes(text.encode())


COMPOSED = pytest.mark.parametrize("step", [pytest.param(14, id="some"), pytest.param(1, id="all", marks=ALL)])


@COMPOSED
def test_every_edit_is_reported_and_blamed_on_its_file(folders: Path, step: int):
    for file, old, new, name in list(mutated(SEMANTIC, FILES[::9], 1))[::step]:
        folders_with(folders, file, old, new)
        try:
            found = review("old", "conf")
        except ForgeError:
            continue  # the default is broken, and that is said
        finally:
            shutil.rmtree(folders / "old")
            shutil.rmtree(folders / "conf")
        assert not found.equal, name
        assert {edit.file for cause in found.causes for edit in cause.edits} <= {file}, name


@COMPOSED
def test_another_order_of_keys_is_no_difference(folders: Path, step: int):
    for file, old, new, name in list(mutated([order], FILES, 1))[:: 4 * step]:
        folders_with(folders, file, old, new)
        found = review("old", "conf")
        shutil.rmtree(folders / "old")
        shutil.rmtree(folders / "conf")
        assert found.equal, name
