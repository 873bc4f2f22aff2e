"""sweep work: runs frozen jobs of a sweep in this process, for schedulers that start processes themselves."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import NoReturn

from modelforge.core.errors import ForgeError
from modelforge.core.plugins import load_plugins
from modelforge.report.stream import complain, exiting
from modelforge.sweeps.resume import saying_how_to_go_on
from modelforge.sweeps.workers import work_all, work_one
from modelforge.train.terminal import keep_streams


def sweep_work(folder: Path, index: int | None, *, retry_failed: bool) -> NoReturn:
    """Runs one job, or all that are open, and exits with what came of it.

    Args:
        folder: The sweep's.
        index: The number of the job; None for any.
        retry_failed: Whether jobs that failed before are run again, where none is named.
    """
    keep_streams()
    which = ["--any", *(["--retry-failed"] if retry_failed else [])] if index is None else ["--index", str(index)]
    again = shlex.join(["modelforge", "sweep", "work", str(folder), *which])
    with exiting(), saying_how_to_go_on(lambda: again):
        load_plugins()
        try:
            status = work_all(folder, retry_failed=retry_failed) if index is None else work_one(folder, index)
        except ForgeError as error:
            complain(error)
            sys.exit(2 if any(problem.code == "MF076" for problem in error.problems) else 1)
        sys.exit(status)
