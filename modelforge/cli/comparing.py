"""compare_sides: two sides → what changes; sides that are revisions are scanned first.

`serve` is what the process does that `cli.revisions` asks.
"""

from __future__ import annotations

from dataclasses import replace

from modelforge.cli.revisions import COMPARED, PAIR, Compared
from modelforge.cli.untrusted import MEMORY, SECONDS_IN_ALL, too_much
from modelforge.cli.warm_up import refuse_one, small_projects
from modelforge.config.document import Documents
from modelforge.config.scan import Fine, scanned
from modelforge.core import child
from modelforge.core.confine import TooLong, limited
from modelforge.core.errors import ForgeError, Problem
from modelforge.review.acceptances import read_acceptances
from modelforge.review.affected import below
from modelforge.review.changed_files import content
from modelforge.review.compare import Track, review
from modelforge.review.documented import documented
from modelforge.review.pair import Pair
from modelforge.review.sides import Side
from modelforge.train.effective import effective
from modelforge.train.settings import training_of

SYNTAX = "MF002"
"""The code of a file that cannot be read: a review says where that is so, and on which side."""


def compare_sides(pair: Pair, track: Track = lambda items, label: items) -> Compared:
    """Compares two sides in this process, and scans those that are revisions first.

    Args:
        pair: The sides.
        track: Wraps the entries while they are composed, to show progress.

    Raises:
        ForgeError: what the scan refuses, or what is wrong with a side or with `review.yaml`.
    """
    fine: Fine = {}
    documents = Documents()
    if refused := [problem for side in (pair.old, pair.new) for problem in _refused(side, fine, documents)]:
        raise ForgeError(refused)
    acceptances = read_acceptances(pair.old, pair.new)
    found = review(
        pair,
        track=track,
        further=acceptances.entries,
        effective=effective,
        training=training_of,
        documents=documents,
    )
    document = documented(found, acceptances)
    return Compared(document, tuple(acceptances.unused(document.changes)[1]))


def serve() -> None:
    """What the process does."""
    child.serve(warm_up, _answered, MEMORY, lambda question: SECONDS_IN_ALL)


def _answered(question: bytes) -> bytes:
    try:
        with limited(SECONDS_IN_ALL):
            found = compare_sides(PAIR.validate_json(question))
    except ForgeError as error:
        found = Compared(None, error.problems)
    except (TooLong, MemoryError, RecursionError) as error:
        found = Compared(None, (too_much(error, SECONDS_IN_ALL),))
    return COMPARED.dump_json(found)


def warm_up() -> None:
    """Does once what a comparison does, with configs of ours: what Python imports late is there then."""
    refuse_one()
    with small_projects() as (old, new):
        compare_sides(Pair(Side("a", "revision", old, "conf"), Side("b", "revision", new, "conf")))


def _refused(side: Side, fine: Fine, documents: Documents) -> list[Problem]:
    if side.kind != "revision":
        return []
    found = scanned(side.folder, side.shown_as, fine, documents)
    kept = (one for one in found if one.code != SYNTAX or _can_be_read(side, one))
    return [replace(one, message=f"{one.message} (in `{side.name}`)") for one in kept]


def _can_be_read(side: Side, problem: Problem) -> bool:
    """Whether composition reads a file in which the scan came to an end, as after a byte order mark or a directive."""
    file = content(side, below(side.shown_as, problem.place.file or "")) if problem.place else None
    return file is not None and not file.problems
