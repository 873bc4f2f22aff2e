"""Runs a command in a terminal of its own and draws what it leaves on the screen as an SVG.

    python docs/picture.py docs/images/train.svg python train.py model=lstm init=orthogonal

The README's picture is made this way; nothing in it is typed by hand.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios
from io import StringIO

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS = 92
CONTROL = re.compile(r"\x1b\[\?25[hl]|\x1b\[2K")


def main(target: str, command: list[str]) -> None:
    """Runs `command` and writes the picture to `target`."""
    shown = "$ " + " ".join(command).removeprefix("./") + "\n" + final_screen(run(command))
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(shown))
    svg = console.export_svg(title="modelforge", theme=MONOKAI)
    # Rich's template loads its fonts from the network; any monospaced font of the reader's does.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "ui-monospace")
    with open(target, "w", encoding="utf-8") as file:
        file.write(re.sub(r"terminal-\d+", "terminal", svg) + "\n")


def run(command: list[str]) -> str:
    """Everything that the command writes to a terminal of `COLUMNS` columns."""
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    pieces: list[bytes] = []
    try:
        while piece := os.read(descriptor, 65536):
            pieces.append(piece)
    except OSError:  # how Linux says that the other end is closed
        pass
    _, status = os.waitpid(pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return b"".join(pieces).decode()


def final_screen(output: str) -> str:
    """What is left on each line after carriage returns have overwritten it."""
    lines = CONTROL.sub("", output).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rsplit("\r", 1)[-1] for line in lines).rstrip()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
