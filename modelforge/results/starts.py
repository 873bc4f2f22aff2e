"""`RunStart`: what a run foresaw and measured before its first update, as `start.json` in its folder."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path

from pydantic_core import to_json

from modelforge.core.files import write_atomically
from modelforge.core.limits import MAX_STATUS_BYTES
from modelforge.core.regular_files import read_text

FILE = "start.json"
FORMAT_VERSION = "1.0"
LOST = 1e6
"""The factor on an energy from which on a gradient counts as exploding, as in `modelforge diagnose`."""


@dataclass(frozen=True, slots=True)
class RunStart:
    """Numbers of one run, None where they are not known."""

    predicted_signal: float | None = None
    """E x² of the last layer, for inputs of 1."""
    predicted_gradient: float | None = None
    """E g² at the input, of a sequence at its first step, for outputs of 1; at the first layer where inputs are whole
    numbers."""
    first_gradient: float | None = None
    """Norm of the gradient of the first layer's parameters in the first step, before clipping."""

    @property
    def explodes(self) -> bool | None:
        """Whether the gradient is predicted to explode; None where nothing is predicted of it."""
        return None if self.predicted_gradient is None else self.predicted_gradient > LOST


def write_start(start: RunStart, folder: Path) -> None:
    """Writes it; infinity is a text, which JSON has no number for, and what is not a number is left out.

    Raises:
        ForgeError: it cannot be written.
    """
    numbers = {name: None if value is None or isnan(value) else value for name, value in asdict(start).items()}
    data = to_json({"format_version": FORMAT_VERSION, **numbers}, indent=1, inf_nan_mode="strings")
    write_atomically(folder / FILE, f"{data.decode()}\n")


def read_start(folder: Path) -> RunStart | None:
    """What the run in a folder wrote; None where it wrote nothing that can be read."""
    with suppress(OSError, ValueError, TypeError, AttributeError, OverflowError):
        found = json.loads(read_text(folder / FILE, MAX_STATUS_BYTES))
        values = [found.get(name) for name in RunStart.__slots__]
        return RunStart(*(None if value is None else float(value) for value in values))
    return None
