"""Edits of config folders for tests."""

from __future__ import annotations

from pathlib import Path

from modelforge.review.sides import Side


def edit(path: str, old: str, new: str) -> None:
    """Replaces one text in a file of the working directory."""
    file = Path(path)
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def side(folder: str) -> Side:
    """A config folder of the working directory as one side."""
    return Side(folder, "folder", Path(folder), folder)
