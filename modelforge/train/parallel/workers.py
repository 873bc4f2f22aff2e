"""run_workers: the worker processes of a training. They end with rank 0, and their failure ends rank 0.

torchrun, Slurm or rank 0 starts them. Rank 0 composes, checks and reads before they begin, and it alone writes: there
is one run folder and one list of overrides, in a multirun too.
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

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import printable, shortened
from modelforge.train.interrupt import Interrupted
from modelforge.train.parallel.launch import Launch, launch_of
from modelforge.train.parallel.rendezvous import Failure, Rendezvous, leave
from modelforge.train.parallel.world import RunSpec

WORKER = "modelforge.train.parallel.worker"
"""The module that each further process runs."""
HOME = str(Path(__file__).parents[3])
"""Where the package lies."""
GRACE = 5.0
"""Seconds that a process gets to end, and to say why."""


@dataclass
class Workers:
    """The processes that this one started; none where torchrun or Slurm did."""

    rendezvous: Rendezvous
    started: dict[int, tuple[subprocess.Popen[bytes], IO[bytes]]] = field(default_factory=dict)
    """By rank, with what each wrote to standard error."""

    def check(self) -> None:
        """Raises the failure of a worker.

        Raises:
            ForgeError: its problems, or that it was killed.
            RuntimeError: an error of modelforge or of a library.
        """
        ended = [rank for rank, (process, _) in self.started.items() if process.poll()]
        for failure in self._failures():  # read after `ended`: a process reports why before it ends
            if failure.problems:
                raise ForgeError(failure.problems)
            raise RuntimeError(
                f"process {failure.rank} of {self.rendezvous.launch.world_size} failed:\n{failure.reason}"
            )
        for rank in ended:
            process, written = self.started[rank]
            raise ForgeError([self._ended(rank, process.returncode, written)])

    def why(self) -> None:
        """Gives the workers time to report a failure, where this process lost their connection; see `check`."""
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
            return [*self.rendezvous.failures()]
        return []

    def _ended(self, rank: int, status: int, written: IO[bytes]) -> Problem:
        written.seek(0)
        lines = written.read().decode(errors="replace").strip().splitlines()
        last = f": {shortened(printable(lines[-1]))}" if lines else ""
        end = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}{last}"
        message = f"process {rank} of {self.rendezvous.launch.world_size} {end}"
        memory = "it may have run out of memory; " if status == -signal.SIGKILL else ""
        return Problem("MF055", "trainer.devices", message, f"{memory}go on with `ckpt=.../checkpoints/last.ckpt`")


@contextmanager
def run_workers(spec: RunSpec, size: int) -> Generator[tuple[Rendezvous, Workers]]:
    """The rendezvous of a run, and the workers that this process started for it.

    Args:
        spec: The run.
        size: The number of processes, this one included.

    Raises:
        ForgeError: a worker found a problem, or was killed.
    """
    launch = launch_of()
    rendezvous = Rendezvous(launch or Launch(0, size, 0, 0, "127.0.0.1", 0, "modelforge", hosts_store=True))
    rendezvous.publish(spec)
    workers = Workers(rendezvous)
    try:
        if launch is None:
            for rank in rendezvous.ranks:
                workers.started[rank] = _start(
                    replace(rendezvous.launch, rank=rank, local_rank=rank, master_port=rendezvous.port)
                )
        yield rendezvous, workers
        workers.wait()
    except (ForgeError, Interrupted):
        raise
    except BaseException:
        workers.why()
        raise
    finally:
        workers.end()
        leave()


def _start(launch: Launch) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """A process that trains along, and ends when its standard input does: with this process, whatever ends that.

    In a session of its own, it does not see Ctrl-C: rank 0 decides when to stop.
    """
    written = TemporaryFile()  # noqa: SIM115  # closed with the process
    path = os.pathsep.join(filter(None, [HOME, os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        _command(launch),
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=written,
        start_new_session=True,
    )
    return process, written


def _command(launch: Launch) -> list[str]:
    return [sys.executable, "-m", WORKER, json.dumps(asdict(launch))]
