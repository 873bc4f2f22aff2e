"""A process that trains along with the first: it prints nothing, writes nothing, and ends with it.

`python -m modelforge.train.parallel.follower PLACE` is what the first process starts; under torchrun or Slurm,
`follow_if_started` turns a `train.py` into one.
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

from modelforge.config import Config
from modelforge.config.origins import Origins
from modelforge.core.errors import ForgeError
from modelforge.train.fit import fit
from modelforge.train.interrupt import Interrupted, Interrupts
from modelforge.train.parallel.meeting import Failure, Meeting
from modelforge.train.parallel.place import Place


def follow(place: Place) -> int:
    """Trains what the first process says; the exit status."""
    try:
        meeting = Meeting(place)
        order = meeting.take()
    except RuntimeError:  # the first process found a problem, and ended
        return 1
    sys.path.extend(entry for entry in order.search_path if entry not in sys.path)
    try:
        for name in order.plugins:
            import_module(name)
        with Interrupts(lambda _: None) as interrupts, open(os.devnull, "w", encoding="utf-8") as nowhere:
            config = Config(order.values, Origins.empty(), (), {})
            fit(
                config,
                Path(order.folder),
                console=Console(file=nowhere),
                interrupts=interrupts,
                note=lambda _: None,
                show_plan=False,
                meeting=meeting,
            )
    except Interrupted as error:
        return error.exit_code
    except ForgeError as error:
        meeting.fail(Failure(place.rank, tuple(error.problems)))
        return 1
    except BaseException:
        meeting.fail(Failure(place.rank, reason=traceback.format_exc()))
        return 1
    return 0


def end(status: int) -> Never:
    """Ends the process at once: threads of a process group now and then abort an ordinary exit."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _end_with_first() -> None:
    """Ends this process when its standard input is closed, as it is when the first process is gone."""
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Follows as the first process asked."""
    threading.Thread(target=_end_with_first, daemon=True).start()
    end(follow(Place(**json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
