"""compare: two sides as a person names them → what the change from one to the other does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelforge.cli.answer import Answer, progress
from modelforge.review import review, review_markdown, review_text


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
    found = review(old, new, conf, overrides, progress)
    text = review_markdown(found) if markdown else review_text(found)
    return Answer(found.to_dict(), text, status=int(exit_code and not found.equal))
