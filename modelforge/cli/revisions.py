"""compare_apart: two revisions, which may be strangers', → what changes, found by a process of its own.

The process (`cli.comparing`) scans both sides (`config.scan`), and then composes, plans and compares them; it gives
back the review's `Document`. See `core.child` for how it is bounded. The process that asks needs no torch.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from modelforge.core.child import ask, garbled, scratch
from modelforge.core.codes import CODES
from modelforge.core.errors import ForgeError, Problem
from modelforge.review.document import Document
from modelforge.review.pair import Pair

SERVER = "modelforge.cli.comparing"
"""The module of which the process runs `serve`."""
CLOCK = 600
"""Seconds by the clock until the process is given up."""


@dataclass(frozen=True)
class Compared:
    """A review, or why there is none."""

    document: Document | None
    problems: tuple[Problem, ...] = ()
    """Acceptances that fit no change; without a document what stands in its way."""


PAIR, COMPARED = TypeAdapter(Pair), TypeAdapter(Compared)
"""Question and answer, as the process reads and writes them."""


def compare_apart(pair: Pair) -> Compared:
    """Compares two revisions in a process of its own.

    Raises:
        ForgeError: what `compare_sides` raises, or the process gave no answer.
    """
    with scratch() as place:
        for name, side in (("old", pair.old), ("new", pair.new)):
            shutil.copytree(side.folder, place / name)
        question = replace(
            pair, old=replace(pair.old, folder=place / "old"), new=replace(pair.new, folder=place / "new")
        )
        said = ask(SERVER, PAIR.dump_json(question), place, CLOCK)
    try:
        found = COMPARED.validate_json(said)
    except ValidationError:
        raise garbled() from None
    if any(problem.code not in CODES for problem in found.problems) or not (found.document or found.problems):
        raise garbled()
    if found.document is None:
        raise ForgeError(found.problems)
    return found
