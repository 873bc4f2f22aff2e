"""written: an answer → a file that holds it, and the line that is printed in its place."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group

from modelforge.cli.answer import Answer
from modelforge.core.errors import ForgeError
from modelforge.core.files import unwritable, write_atomically
from modelforge.report.table import to_text

OPTION = "--output"


def written(answer: Answer, output: Path, line: str) -> Answer:
    """Writes what an answer prints to a file, whole or not at all.

    Args:
        answer: Of a command.
        output: The file; its folder must be there.
        line: What to print in its place.

    Raises:
        ForgeError: the file cannot be written, or there is no such folder.
    """
    if not output.parent.is_dir():
        raise ForgeError([unwritable(str(output), f"there is no folder `{output.parent}`", OPTION)])
    text = answer.text if isinstance(answer.text, str) else to_text(Group(answer.text))
    write_atomically(output, text if text.endswith("\n") else f"{text}\n", OPTION)
    return Answer(answer.data, f"{line}\n", answer.status, answer.problems)
