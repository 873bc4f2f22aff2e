"""new: a folder → a starter project in it."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from modelforge.cli.answer import Answer
from modelforge.core.words import plural, printable
from modelforge.starter import create


def new(folder: Path) -> Answer:
    """Makes the project and says what is in it and what to do first.

    Raises:
        ForgeError: it cannot be made.
    """
    made = create(folder)
    count = Counter(path.parts[0] for path in made.files)
    table = Table.grid(padding=(0, 2))
    for name in count:
        inside = count[name] > 1 or (folder / name).is_dir()
        table.add_row("", f"{name}/" if inside else name, plural(count[name], "file") if inside else "")
    for name in made.kept:
        table.add_row("", name, "was there; not changed")
    enter = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    commands = [*enter, "python train.py", "python train.py -m init.gain=0.5,1,1.5", "pytest"]
    first = [Text(printable(f"  {command}")) for command in commands]
    text = Group(Text(printable(f"made {folder}")), Text(), table, Text(), Text("begin with"), *first)
    files = [path.as_posix() for path in made.files]
    return Answer({"folder": str(folder), "files": files, "kept": list(made.kept)}, text)
