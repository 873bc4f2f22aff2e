"""Pairs of config folders, each with what a review says of it, as Markdown and as JSON.

`python -m tests.review.test_pairs` writes both anew; read what changes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelforge.core.errors import ForgeError
from modelforge.review.document import Document
from modelforge.review.documented import documented, documented_failure
from modelforge.review.formats import FORMATS
from modelforge.train.effective import effective
from tests.review.trees import edit, review

HERE = Path(__file__).parent / "pairs"
PAIRS: Mapping[str, Mapping[str, Any]] = yaml.safe_load((HERE / "pairs.yaml").read_text(encoding="utf-8"))
FORMS = {"md": "markdown", "json": "json"}


def made(name: str) -> Document:
    """The review of a pair, in the working directory."""
    pair = PAIRS[name]
    for folder in ("old", "conf"):
        shutil.copytree(HERE / "base", folder)
        edited(folder, pair.get("before", ()))
    for file, name in pair.get("rename", {}).items():
        Path("conf", file).rename(Path("conf", name))
    edited("conf", pair.get("edit", ()))
    for file in pair.get("remove", ()):
        Path("conf", file).unlink()
    for file, text in pair.get("write", {}).items():
        Path("conf", file).write_text(text, encoding="utf-8")
    try:
        return documented(review("old", "conf", effective=effective))
    except ForgeError as error:
        return documented_failure("old", "conf", error.problems)


def edited(folder: str, edits: Sequence[tuple[str, str, str]]) -> None:
    for file, old, new in edits:
        edit(f"{folder}/{file}", old, new)


@pytest.mark.parametrize("name", PAIRS)
def test_a_review_says_what_the_change_does(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    document = made(name)
    for ending, form in FORMS.items():
        assert FORMATS[form](document) == (HERE / f"{name}.{ending}").read_text(encoding="utf-8")


def test_each_golden_has_its_pair():
    assert len(PAIRS) >= 60
    assert {path.stem for ending in FORMS for path in HERE.glob(f"*.{ending}")} == set(PAIRS)


def write() -> None:
    """Writes what is said now."""
    for name in PAIRS:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            document = made(name)
        for ending, form in FORMS.items():
            (HERE / f"{name}.{ending}").write_text(FORMATS[form](document), encoding="utf-8")


if __name__ == "__main__":
    write()
