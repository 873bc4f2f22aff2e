"""main: the command line, with all commands."""

from __future__ import annotations

import atexit
import gc
import signal
import sys

from modelforge.cli import config_commands as config_commands
from modelforge.cli import file_commands as file_commands
from modelforge.cli import run_commands as run_commands
from modelforge.cli.front import app
from modelforge.core.ctrl_c import raise_at_ctrl_c
from modelforge.core.plugins import only_installed_plugins
from modelforge.report.screen import removed_folder


def main() -> None:
    """The `modelforge` command, once all of this is imported."""
    if hasattr(signal, "SIGPIPE"):
        # As other tools do: end in silence when the reader of a pipe has gone.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    gc.set_threshold(500_000, 20, 20)  # what is imported stays: looking for garbage in it takes a tenth of a command
    atexit.register(gc.freeze)  # and as long again when Python ends
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal without σ or … shows a question mark, not a traceback.
            stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]  # it has it
    if problem := removed_folder():
        print(problem, file=sys.stderr)
        sys.exit(1)
    only_installed_plugins()
    raise_at_ctrl_c()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
