"""leading: the first process of a training, and the others, which end when it does and end it when they fail.

torchrun or Slurm start them, or the first process does. The first composes, checks and reads before the others begin,
and it alone writes: so there is one run folder and one list of overrides, in a multirun too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from torch import distributed

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import printable, shortened
from modelforge.train.interrupt import Interrupted
from modelforge.train.parallel.meeting import Failure, Meeting
from modelforge.train.parallel.place import Place, place_of
from modelforge.train.parallel.team import Order

FOLLOWER = "modelforge.train.parallel.follower"
"""The module that each further process runs."""
HOME = str(Path(__file__).parents[3])
"""Where the package lies."""
GRACE = 5.0
"""Seconds that a process gets to end, and to say why."""


@dataclass
class Others:
    """The processes that this one started; none where torchrun or Slurm did."""

    meeting: Meeting
    started: dict[int, tuple[subprocess.Popen[bytes], IO[bytes]]] = field(default_factory=dict)
    """By rank, with what each wrote to standard error."""

    def check(self) -> None:
        """Raises what ended one of them.

        Raises:
            ForgeError: its problems, or that it was killed.
            RuntimeError: an error of modelforge or of a library.
        """
        for failure in self._failures():
            if failure.problems:
                raise ForgeError(failure.problems)
            raise RuntimeError(f"process {failure.rank} of {self.meeting.place.size} failed:\n{failure.reason}")
        for rank, (process, written) in self.started.items():
            if process.poll():
                raise ForgeError([self._ended(rank, process.returncode, written)])

    def why(self) -> None:
        """Gives the others time to say what is wrong, where this process lost them; see `check`."""
        end = time.monotonic() + GRACE
        while time.monotonic() < end:
            self.check()
            time.sleep(0.1)

    def wait(self) -> None:
        """Waits for the end of those that have nothing left to do."""
        for process, _ in self.started.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)

    def end(self) -> None:
        """Ends those that still run."""
        running = [process for process, _ in self.started.values() if process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for process, written in self.started.values():
            assert process.stdin is not None
            process.stdin.close()
            written.close()

    def _failures(self) -> Sequence[Failure]:
        with suppress(RuntimeError):  # torchrun closed the store
            return [*self.meeting.failures()]
        return []

    def _ended(self, rank: int, status: int, written: IO[bytes]) -> Problem:
        written.seek(0)
        lines = written.read().decode(errors="replace").strip().splitlines()
        last = f": {shortened(printable(lines[-1]))}" if lines else ""
        end = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}{last}"
        message = f"process {rank} of {self.meeting.place.size} {end}"
        memory = "it may have run out of memory; " if status == -signal.SIGKILL else ""
        return Problem("MF055", "trainer.devices", message, f"{memory}go on with `ckpt=.../checkpoints/last.ckpt`")


@contextmanager
def leading(order: Order, size: int) -> Generator[tuple[Meeting, Others]]:
    """The meeting of the processes that train what `order` says, and those of them that this process started.

    Args:
        order: What to train.
        size: The number of processes, this one included.

    Raises:
        ForgeError: one of them found a problem, or was killed.
    """
    place = place_of()
    meeting = Meeting(place or Place(0, size, 0, 0, "127.0.0.1", 0, "modelforge", hosts=True))
    meeting.give(order)
    others = Others(meeting)
    try:
        if place is None:
            for rank in meeting.ranks:
                others.started[rank] = _start(replace(meeting.place, rank=rank, local_rank=rank, port=meeting.port))
        yield meeting, others
        others.wait()
    except (ForgeError, Interrupted):
        raise
    except BaseException:
        others.why()
        raise
    finally:
        others.end()
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _start(place: Place) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """A process that trains along, and ends when its standard input does: with this process, whatever ends that.

    In a session of its own, it does not see Ctrl-C: the first process says when to stop.
    """
    written = TemporaryFile()  # noqa: SIM115  # closed with the process
    path = os.pathsep.join(filter(None, [HOME, os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        _command(place),
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=written,
        start_new_session=True,
    )
    return process, written


def _command(place: Place) -> list[str]:
    return [sys.executable, "-m", FOLLOWER, json.dumps(asdict(place))]
