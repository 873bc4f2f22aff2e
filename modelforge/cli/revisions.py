"""compare_apart: two revisions, which may be strangers', → what changes, found by a process of its own.

The process scans both sides (`config.scan`), and then composes, plans and compares them; it gives back the review's
`Document`. See `config.child` for how it is bounded.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from modelforge.cli.untrusted import CLOCK_IN_ALL, MEMORY, SECONDS_IN_ALL, too_much, warm_up
from modelforge.config import child, compose, shipped
from modelforge.config.child import ask, garbled, scratch
from modelforge.config.scan import scanned
from modelforge.core.codes import CODES
from modelforge.core.confine import TooLong, limited
from modelforge.core.errors import ForgeError, Problem
from modelforge.review.acceptances import read_acceptances
from modelforge.review.affected import Entry, below
from modelforge.review.changed_files import content
from modelforge.review.compare import Pair, review_sides
from modelforge.review.document import Document
from modelforge.review.documented import documented
from modelforge.review.sides import Side
from modelforge.train.effective import effective

SYNTAX = "MF002"
"""The code of a file that cannot be read: a review says where that is so, and on which side."""
Track = Callable[[Sequence[Entry], str], Iterable[Entry]]


@dataclass(frozen=True)
class Compared:
    """A review, or why there is none."""

    document: Document | None
    problems: tuple[Problem, ...] = ()
    """Acceptances that fit no change; without a document what stands in its way."""


_PAIR, _COMPARED = TypeAdapter(Pair), TypeAdapter(Compared)


def compare_sides(pair: Pair, track: Track = lambda items, label: items) -> Compared:
    """Compares two sides in this process, and scans those that are revisions first.

    Args:
        pair: The sides.
        track: Wraps the entries while they are composed, to show progress.

    Raises:
        ForgeError: what the scan refuses, or what is wrong with a side or with `review.yaml`.
    """
    if refused := [problem for side in (pair.old, pair.new) for problem in _refused(side)]:
        raise ForgeError(refused)
    acceptances = read_acceptances(pair.old, pair.new)
    document = documented(review_sides(pair, track, acceptances.entries, effective), acceptances)
    return Compared(document, tuple(acceptances.unused(document.changes)[1]))


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
        said = ask(__name__, _PAIR.dump_json(question), place, CLOCK_IN_ALL)
    try:
        found = _COMPARED.validate_json(said)
    except ValidationError:
        raise garbled() from None
    if any(problem.code not in CODES for problem in found.problems) or not (found.document or found.problems):
        raise garbled()
    if found.document is None:
        raise ForgeError(found.problems)
    return found


def serve() -> None:
    """What the process does."""
    child.serve(_warm_up, _answered, MEMORY, lambda question: SECONDS_IN_ALL)


def _answered(question: bytes) -> bytes:
    try:
        with limited(SECONDS_IN_ALL):
            found = compare_sides(_PAIR.validate_json(question))
    except ForgeError as error:
        found = Compared(None, error.problems)
    except (TooLong, MemoryError, RecursionError) as error:
        found = Compared(None, (too_much(error, SECONDS_IN_ALL),))
    return _COMPARED.dump_json(found)


def _warm_up() -> None:
    warm_up()
    if (conf := shipped()) is not None:
        effective(compose(conf).values)
        sides = (Side("a", "overrides", conf, "conf"), Side("b", "overrides", conf, "conf", ("seed=1",)))
        compare_sides(Pair(*sides))


def _refused(side: Side) -> list[Problem]:
    if side.kind != "revision":
        return []
    found = scanned(side.folder, side.shown_as)
    kept = (one for one in found if one.code != SYNTAX or _can_be_read(side, one))
    return [replace(one, message=f"{one.message} (in `{side.name}`)") for one in kept]


def _can_be_read(side: Side, problem: Problem) -> bool:
    """Whether composition reads a file in which the scan came to an end, as after a byte order mark or a directive."""
    file = content(side, below(side.shown_as, problem.place.file or "")) if problem.place else None
    return file is not None and not file.problems
