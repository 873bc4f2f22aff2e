"""run_worker: a process that trains with rank 0. It prints nothing, writes nothing, and ends with it.

Rank 0 starts `python -m modelforge.train.parallel.worker LAUNCH`; under torchrun or Slurm, `train.py` of another rank
calls `run_worker`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from importlib import import_module
from pathlib import Path
from typing import Never

from rich.console import Console

from modelforge.config.compose import Config
from modelforge.config.origins import Origins
from modelforge.core.errors import ForgeError
from modelforge.train.fit import fit
from modelforge.train.interrupt import Interrupted, Interrupts
from modelforge.train.parallel.launch import Launch
from modelforge.train.parallel.rendezvous import Failure, Rendezvous


def run_worker(launch: Launch) -> int:
    """Trains the run that rank 0 publishes; the exit status."""
    try:
        rendezvous = Rendezvous(launch)
        spec = rendezvous.receive()
    except RuntimeError:  # rank 0 found a problem, and ended
        return 1
    sys.path.extend(entry for entry in spec.search_path if entry not in sys.path)
    try:
        for name in spec.plugins:
            import_module(name)
        with Interrupts(lambda _: None) as interrupts, open(os.devnull, "w", encoding="utf-8") as nowhere:
            config = Config(spec.values, Origins.empty(), (), {})
            fit(
                config,
                Path(spec.folder),
                console=Console(file=nowhere),
                interrupts=interrupts,
                note=lambda _: None,
                show_plan=False,
                rendezvous=rendezvous,
            )
    except Interrupted as error:
        return error.exit_code
    except ForgeError as error:
        rendezvous.report(Failure(launch.rank, tuple(error.problems)))
        return 1
    except BaseException:
        rendezvous.report(Failure(launch.rank, reason=traceback.format_exc()))
        return 1
    return 0


def exit_now(status: int) -> Never:
    """Ends the process at once: threads of a process group now and then abort an ordinary exit."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end_with_first() -> None:
    """Ends this process when its standard input is closed, as it is when rank 0 is gone."""
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Runs as the worker of the launch in the first argument."""
    threading.Thread(target=_end_with_first, daemon=True).start()
    exit_now(run_worker(Launch(**json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
