"""compare: two sides as a person names them → what the change from one to the other does.

Revisions can be anybody's, and the folder that they are compared in may be a checkout of one of them. So the project's
plugins are imported only where one side is the working tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from modelforge.cli.answer import Answer, progress
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.plugins import load_plugins
from modelforge.core.project import find_project
from modelforge.review import Side, review, review_markdown, review_text
from modelforge.train.effective import effective

UNKNOWN = ("MF010", "MF020")
"""Problems with the name of a layer or an initializer."""


def compare(
    old: str, new: str | None, conf: Path | None, overrides: Sequence[str], *, markdown: bool, exit_code: bool
) -> Answer:
    """Compares all that two sides compose to.

    Args:
        old: A config folder, an override set, a git revision, `.` for the working tree, or a range (`main...HEAD`).
        new: The same, but no range; None for the working tree.
        conf: The config folder; None for the default one.
        overrides: Hydra overrides for both sides.
        markdown: Whether the text is Markdown.
        exit_code: Whether differences give the status 1.

    Raises:
        ForgeError: what is wrong with either side.
    """
    sides: list[Side] = []

    def opened(both: Sequence[Side]) -> None:
        sides.extend(both)
        if any(side.kind != "revision" for side in both):
            load_plugins()

    try:
        found = review(old, new, conf, overrides, progress, opened, effective=effective)
    except ForgeError as error:
        raise ForgeError(_explained(problem, sides) for problem in error.problems) from error
    text = review_markdown(found) if markdown else review_text(found)
    return Answer(found.to_dict(), text, status=int(exit_code and not found.equal))


def _explained(problem: Problem, sides: Sequence[Side]) -> Problem:
    """A problem with a name that the project's plugins may register, where they were not imported."""
    revisions = bool(sides) and all(side.kind == "revision" for side in sides)
    if not (revisions and problem.code in UNKNOWN and (project := find_project()) and project.plugins):
        return problem
    hint = f"two revisions are compared without the project's plugins: `modelforge diff {sides[0].name}` has them"
    return replace(problem, hint=hint)
