"""compare: two sides as a person names them → what the change from one to the other does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from modelforge.cli.answer import Answer
from modelforge.errors import ForgeError, Problem
from modelforge.plan import Plan
from modelforge.review import diff, diff_text, read, to_markdown


def compare(
    old: str, new: str, conf: Path | None, overrides: Sequence[str], *, markdown: bool, exit_code: bool
) -> Answer:
    """Plans both sides and compares them.

    Args:
        old: A config folder, an override set, a git revision, or `.` for the working tree.
        new: The same.
        conf: The config folder; None for the default one.
        overrides: Hydra overrides for both sides.
        markdown: Whether the text is Markdown.
        exit_code: Whether differences give the status 1.

    Raises:
        ForgeError: what is wrong with either side.
    """
    sides: dict[Problem, list[str]] = {}
    plans: list[Plan] = []
    for side in (old, new):
        try:
            plans.append(read(side, conf, overrides))
        except ForgeError as error:
            for problem in error.problems:
                sides.setdefault(problem, []).append(side)
    if sides:
        raise ForgeError(_on_side(problem, names) for problem, names in sides.items())
    found = diff(*plans)
    text = to_markdown(found, old, new) if markdown else diff_text(found, old, new)
    return Answer({"old": old, "new": new, **found.to_dict()}, text, status=int(exit_code and not found.equal))


def _on_side(problem: Problem, sides: list[str]) -> Problem:
    """The problem with the side it is on, unless it is on both, or is about the side's name itself."""
    if len(sides) > 1 or problem.code == "MF070":
        return problem
    return replace(problem, message=f"{problem.message} (in `{sides[0]}`)")
