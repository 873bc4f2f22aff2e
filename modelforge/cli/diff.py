"""compare: two sides as a person names them → what the change from one to the other does.

Revisions can be anybody's, and the folder that they are compared in may be a checkout of one of them. So the project's
plugins are imported only where one side is the working tree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from modelforge.cli.answer import Answer, progress
from modelforge.cli.options import ReviewForm
from modelforge.cli.output import check_output, form_of, written
from modelforge.cli.revisions import Compared, compare_apart
from modelforge.core.confine import can_confine
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.plugins import load_plugins
from modelforge.review.document import Change, Document, document_schema
from modelforge.review.fetching import fetch_commits
from modelforge.review.formats import FORMATS
from modelforge.review.formats.text import text
from modelforge.review.kinds import RANK
from modelforge.review.pair import Pair, open_sides
from modelforge.review.project_code import has_plugins
from modelforge.review.review import REGISTERED
from modelforge.review.revision import short
from modelforge.review.sides import Side

HIDING = ("broken-old", "broken-new", "needs-plugins")
"""Kinds of compositions of which nothing is known: any of their values may differ."""
UNPLANNED = "model-unplanned"
"""The kind of edits of which it is not known how parameters start."""
SHARED = ("ties", "buffers")
"""Facts about a whole model by which tensors start differently that are no parameters of their own."""
FAILING: Mapping[str, Callable[[Change], bool]] = MappingProxyType(
    {
        "none": lambda change: False,
        **{name: lambda change, rank=rank: RANK[change.severity] >= rank for name, rank in RANK.items()},
        "changed-init": lambda change: change.section == "init" or _redraws(change) or _hides(change),
        "changed-training": lambda change: change.section == "training" or _hides(change),
    }
)
"""Which changes give the status 1, by the value of `--fail-on`."""


def compare(
    old: str,
    new: str | None,
    conf: Path | None,
    overrides: Sequence[str],
    form: str | None,
    *,
    exit_code: bool,
    fail_on: str = "none",
    fetch: bool = False,
    output: Path | None = None,
) -> Answer:
    """Compares all that two sides compose to.

    Args:
        old: A config folder, an override set, a git revision, `.` for the working tree, or a range (`main...HEAD`).
        new: The same, but no range; None for the working tree.
        conf: The config folder; None for the default one.
        overrides: Hydra overrides for both sides.
        form: `text`, or a name of `FORMATS`; None for the form that the ending of the file stands for.
        exit_code: Whether differences give the status 1.
        fail_on: Which changes give the status 1, one of `FAILING`.
        fetch: Whether git may fetch commits that the clone lacks.
        output: A file to write; None for the standard output.

    Raises:
        ForgeError: what is wrong with either side, with `review.yaml`, or with the file.
    """
    name = form or form_of(output, ReviewForm)
    check_output(output)
    if fetch:
        old, *others = fetch_commits([old] if new is None else [old, new], conf)
        new = others[0] if others else None
    found = _reviewed(old, new, conf, overrides)
    document = found.document
    if document is None:
        if name == "text":
            raise ForgeError(found.problems)
        return _answer(_failure(old, new or ".", found.problems), name, output, 2, found.problems)
    status = 2 if found.problems else int((exit_code and not document.equal) or fails(document, fail_on))
    return _answer(document, name, output, status, found.problems)


def _reviewed(old: str, new: str | None, conf: Path | None, overrides: Sequence[str]) -> Compared:
    """The review, or what stands in its way."""
    sides: tuple[Side, ...] = ()
    try:
        with open_sides(old, new, conf, overrides) as pair:
            sides = (pair.old, pair.new)
            return _compared(pair)
    except ForgeError as error:
        return Compared(None, tuple(_explained(problem, sides) for problem in error.problems))


def _compared(pair: Pair) -> Compared:
    """The review: of two revisions, which may be strangers', by a process of its own, if this system can bound one."""
    if pair.are_revisions and can_confine():
        return compare_apart(pair)
    from modelforge.cli.comparing import compare_sides

    if not pair.are_revisions:
        load_plugins()
    return compare_sides(pair, progress)


def _failure(old: str, new: str, problems: Sequence[Problem]) -> Document:
    from modelforge.review.documented import documented_failure

    return documented_failure(old, new, problems)


def _answer(document: Document, form: str, output: Path | None, status: int, problems: Sequence[Problem]) -> Answer:
    shown = text(document) if form == "text" else FORMATS[form](document)
    answer = Answer(document.model_dump(mode="json"), shown, status, tuple(problems))
    return answer if output is None else written(answer, output, document.verdict)


def fails(document: Document, fail_on: str) -> bool:
    """Whether a change that is not accepted is one of those that give the status 1, or might be: it was left out."""
    left_out = document.num_changes > len(document.changes) and fail_on != "none"
    return left_out or any(FAILING[fail_on](change) for change in document.changes if change.accepted is None)


def _redraws(change: Change) -> bool:
    """Whether a parameter starts differently, by itself, as another one, or from a file; or might."""
    shared = any(effect.subject == "value" and effect.name in SHARED for effect in change.effects)
    return change.num_redrawn > 0 or change.kind == UNPLANNED or shared


def _hides(change: Change) -> bool:
    return change.kind in HIDING


def print_schema() -> Answer:
    """The JSON Schema of a review."""
    return Answer(document_schema(), "")


def _explained(problem: Problem, sides: Sequence[Side]) -> Problem:
    """A problem with a name that the project's plugins may register, where they were not imported."""
    revisions = bool(sides) and all(side.kind == "revision" for side in sides)
    if not (revisions and problem.code in REGISTERED and has_plugins()):
        return problem
    meant = problem.hint.partition("?")[0] + "?" if problem.hint.startswith("did you mean") else ""
    has_them = f"`modelforge diff {short(sides[0].name)}` has them"
    hint = f"two revisions are compared without the project's plugins: {has_them}, in a checkout of the other"
    return replace(problem, hint=f"{meant} Or: {hint}" if meant else hint)
