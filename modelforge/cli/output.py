"""check_output: a file that cannot be written → the problem, before long work. written: an answer → a file.

form_of: the name of a file → the form that it stands for.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from rich.console import Group

from modelforge.cli.answer import Answer
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import unwritable, write_atomically
from modelforge.report.table import to_text

OPTION = "--output"
ENDINGS: Mapping[str, str] = MappingProxyType({
    ".csv": "csv", ".html": "html", ".json": "json", ".md": "markdown", ".parquet": "parquet", ".png": "png",
    ".sarif": "sarif", ".txt": "text", ".xml": "junit",
})  # fmt: skip
"""The form that the ending of a file stands for, where a command has that form."""


def check_output(output: Path | None, option: str = OPTION) -> None:
    """Checks before the work, which may be long, that its result can be written.

    Args:
        output: The file; None for the standard output.
        option: What names it.

    Raises:
        ForgeError: there is no such folder, it is read-only, or the file is a folder.
    """
    if output is None:
        return
    folder = output.parent
    if not folder.is_dir():
        reason, hint = f"there is no folder `{folder}`", "make the folder first"
        if folder.exists():
            reason, hint = f"`{folder}` is not a folder", "choose another folder"
        raise ForgeError([unwritable(str(output), reason, option, hint)])
    if output.is_dir():
        raise ForgeError([unwritable(str(output), "it is a folder", option, "name a file in it")])
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ForgeError([unwritable(str(output), os.strerror(errno.EACCES).lower(), option)])


def form_of(output: Path | None, forms: Iterable[str]) -> str:
    """The form that the name of a file stands for; text for the standard output and names without an ending.

    Args:
        output: The file; None for the standard output.
        forms: Those that the command has.

    Raises:
        ForgeError: the name stands for none.
    """
    if output is None or not output.suffix:
        return "text"
    known = {ending: form for ending, form in ENDINGS.items() if form in {*forms}}
    if (ending := output.suffix.lower()) not in known:
        message = f"the ending of `{output.name}` stands for no form of the result"
        hint = f"choose one of {', '.join(f'`{one}`' for one in known)}, or name the form: `--format text`"
        raise ForgeError([Problem("MF051", OPTION, message, hint)])
    return known[ending]


def written(answer: Answer, output: Path, line: str) -> Answer:
    """Writes what an answer prints to a file, whole or not at all.

    Args:
        answer: Of a command.
        output: The file, as `check_output` accepts it.
        line: What to print in its place.

    Raises:
        ForgeError: the file cannot be written.
    """
    text = answer.text if isinstance(answer.text, str) else to_text(Group(answer.text))
    write_atomically(output, text if text.endswith("\n") else f"{text}\n", OPTION)
    return Answer(answer.data, f"{line}\n", answer.status, answer.problems)
