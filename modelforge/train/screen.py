"""The console of a run. Whoever reads it may go: the run does not end for that."""

from __future__ import annotations

import os

from rich.console import Console

from modelforge.report.screen import Screen


class _Screen(Screen):
    def on_broken_pipe(self) -> None:
        """Nobody reads any more, as behind `| head`: what comes goes nowhere."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def screen() -> Console:
    """A console on standard output."""
    return _Screen(highlight=False)
