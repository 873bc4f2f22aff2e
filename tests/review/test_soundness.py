"""No edit of what a config says is missed, and no edit of how it is written is reported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from modelforge.config import shipped
from modelforge.review.changed_files import FileDiff, changed_files
from modelforge.review.sides import Side
from tests.review.mutations import FORMATTING, SEMANTIC, Mutation

FILES = tuple(sorted(path.relative_to(shipped()).as_posix() for path in shipped().rglob("*.yaml")))
QUICK = 3
"""Edits of each kind and file."""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two empty config folders, `old` and `conf`."""
    monkeypatch.chdir(tmp_path)
    for folder in ("old", "conf"):
        (tmp_path / folder).mkdir()
    return tmp_path


def mutated(mutations: tuple[Mutation, ...], number: int) -> Iterator[tuple[str, str, str, str]]:
    """File, text before and after, and the name of the edit: of each kind so many in each file that has a place."""
    for file in FILES:
        text = (shipped() / file).read_text(encoding="utf-8")
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


def test_every_edit_of_a_file_is_seen(folders: Path):
    missed = [name for file, old, new, name in mutated(SEMANTIC, QUICK) if changed(folders, file, old, new).formatting]
    assert missed == []


def test_no_edit_of_its_formatting_is_seen(folders: Path):
    seen = [
        (name, [edit.name for edit in found.edits])
        for file, old, new, name in mutated(FORMATTING, QUICK)
        if not (found := changed(folders, file, old, new)).formatting
    ]
    assert seen == []
