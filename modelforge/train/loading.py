"""loading: a dim line on a terminal while slow imports last, and nothing of it afterwards. Imports nothing."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def loading(module: str) -> Generator[None]:
    """Says `loading torch…` on stderr, if that is a terminal and the module is not there yet."""
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
