"""The page of the gallery as Markdown: each claim as a question, with its numbers, its pictures and its command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from modelforge.gallery.pictures import file_names
from modelforge.gallery.result import Result, Verdict

INTRODUCTION = """\
# The gallery

What do initial values change? Each section answers one question with a claim of a publication, measured on a small
network, and says how to measure it again. A claim is a `claim` block in an experiment of
`conf/experiment/gallery/`; every number in it holds for every seed, or `modelforge gallery` exits with status 1.
A line is drawn for each seed."""


def markdown(results: tuple[Result, ...], pictures: Path | None = None, page: Path | None = None) -> str:
    """The page.

    Args:
        results: Of the claims, in the order of the page.
        pictures: The folder that `write_pictures` writes to; None for a page without pictures.
        page: The file of the page, from which paths of pictures are relative; None for the current folder.
    """
    folder = None if pictures is None else Path(os.path.relpath(pictures, page.parent if page else ".")).as_posix()
    contents = "\n".join(f"- [{result.claim.question}](#{anchor(result.claim.question)})" for result in results)
    return (
        "\n\n".join([INTRODUCTION, contents, *(part for result in results for part in _section(result, folder))]) + "\n"
    )


def _section(result: Result, folder: str | None) -> Iterator[str]:
    claim = result.claim
    yield f"## {claim.question}"
    yield f"{claim.says} ({claim.source})"
    if folder is not None:
        yield "\n".join(f"![{picture.profile.title}]({folder}/{name})" for name, picture in file_names(result))
    yield "\n".join(
        ["| | expected | measured | | why |", "| --- | --- | --- | --- | --- |", *map(_row, result.verdicts)]
    )
    yield f"```sh\nmodelforge gallery {result.name}\n```"


def _row(verdict: Verdict) -> str:
    expectation = verdict.expectation
    cells = (expectation.words, verdict.due, verdict.measured, "✓" if verdict.ok else "✗", expectation.reason)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def anchor(heading: str) -> str:
    """The anchor that GitHub makes of a heading.

    >>> anchor("Why is the gain for ReLU √2, and not 1 or 2?")
    'why-is-the-gain-for-relu-2-and-not-1-or-2'
    """
    kept = "".join(letter for letter in heading.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")
