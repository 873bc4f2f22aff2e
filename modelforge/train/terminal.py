"""The terminal of a run: streams that never end it, its first line, a line while slow imports last, and problems.

Imports no torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

from modelforge.config.compose import Config
from modelforge.core.quoting import printable
from modelforge.core.words import plural
from modelforge.report.screen import Screen, removed_folder
from modelforge.report.stream import complain, lasting

GROUPS = ("experiment", "model", "weights", "init", "data")
"""What the first line of a run names."""
WIDTH = 120
"""Columns of output for a file or a log, where the environment does not set them."""


def keep_streams() -> None:
    """Makes standard output and standard error last, for all that prints there: a run does not end with its reader."""
    for name in ("stdout", "stderr"):
        setattr(sys, name, lasting(getattr(sys, name)))


def check_folder() -> None:
    """Exits with 1 where the folder that the process runs in was removed."""
    if problem := removed_folder():
        complain(problem)
        sys.exit(1)


def announce(config: Config) -> None:
    """Prints what a run is about to do, before torch is imported: what the groups chose, the seed, and the folder."""
    choices = config.hydra["runtime"]["choices"]
    chosen = [f"{group}={choices[group]}" for group in GROUPS if choices.get(group)]
    words = " ".join([*chosen, f"seed={config.values.get('seed', 0)}"])
    say(words, _folder(str(config.hydra["run"]["dir"]), choices))


def announce_jobs(config: Config, number: int | None, noun: str = "job") -> None:
    """Prints how many jobs a multirun is about to run, None where its sweeper decides that, and in which folder."""
    say(
        "multirun" if number is None else plural(number, noun),
        _folder(str(config.hydra["sweep"]["dir"]), config.hydra["runtime"]["choices"]),
    )


def say_job(number: int, overrides: Iterable[str]) -> None:
    """Prints what a job of several is, above its progress."""
    print(f"\n[{number}] {printable(' '.join(overrides))}", flush=True)


def say(*parts: str) -> None:
    """Prints one line on standard output."""
    print(printable("  ·  ".join(filter(None, parts))), file=lasting(sys.stdout), flush=True)


def _folder(name: str, choices: Mapping[str, Any]) -> str:
    """The folder of a run as far as it is known before it starts: its last part is the time."""
    for group, choice in choices.items():
        name = name.replace(f"${{hydra:runtime.choices.{group}}}", str(choice))
    known, dollar, _ = name.partition("${")
    return f"{known}..." if dollar else known


def screen() -> Screen:
    """A console on standard output."""
    stream = lasting(sys.stdout)
    known = "COLUMNS" in os.environ or stream.isatty()
    return Screen(file=stream, width=None if known else WIDTH, highlight=False)


@contextmanager
def loading(module: str) -> Generator[None]:
    """Shows a dim `loading torch…` on stderr during a slow import, if that is a terminal; it leaves nothing there."""
    if module in sys.modules or not sys.stderr.isatty():
        yield
        return
    sys.stderr.write(f"\x1b[2mloading {module}…\x1b[0m\r")
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\x1b[2K\r")
        sys.stderr.flush()
