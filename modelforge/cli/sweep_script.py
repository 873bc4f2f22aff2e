"""sweep script: a folder of frozen jobs → the script that has a cluster run them."""

from __future__ import annotations

from pathlib import Path

from modelforge.cli.answer import Answer
from modelforge.sweeps.scripts import Kind, script


def sweep_script(kind: Kind, folder: Path, *, parallel: int | None) -> Answer:
    """The script as text.

    Args:
        kind: What runs the jobs.
        folder: Of the sweep.
        parallel: How many jobs run at once at most; None for a hundred.

    Raises:
        ForgeError: the folder holds no sweep, or its name cannot be written into a script.
    """
    text = script(kind, folder, parallel=parallel)
    return Answer({"kind": kind, "script": text}, text.rstrip("\n"), is_data=True)
