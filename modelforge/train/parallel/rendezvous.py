"""`Rendezvous`: the store through which the processes of a training find each other, and report why they end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta

import torch
from torch import distributed
from torch.distributed import PrefixStore, TCPStore  # pyright: ignore[reportPrivateImportUsage]  # public in its docs

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.train.parallel.launch import Launch
from modelforge.train.parallel.world import RunSpec, World

RANK_TIMEOUT = timedelta(minutes=10)
"""How long rank 0 waits for the other ranks, and they for it."""
DATA_TIMEOUT = timedelta(hours=12)
"""How long the other ranks wait while rank 0 reads the data."""
LAST_WORK = 0.1
"""Seconds that the threads of a group have to drop what they reduced last."""


@dataclass(frozen=True)
class Failure:
    """Why a process ended."""

    rank: int
    problems: tuple[Problem, ...] = ()
    """What it found wrong; empty for anything else."""
    reason: str = ""
    """Anything else: a traceback."""


class Rendezvous:
    """The processes of one training before they form a `World`, and what each reports to rank 0.

    Args:
        launch: The launch of this process.
    """

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self._server = TCPStore(
            launch.master_addr,
            launch.master_port,
            is_master=launch.hosts_store and launch.rank == 0,
            wait_for_workers=False,
            timeout=RANK_TIMEOUT,
        )
        self.port = self._server.port
        self.store = PrefixStore(f"modelforge/{launch.restart_count}", self._server)

    @property
    def ranks(self) -> range:
        """All ranks but 0."""
        return range(1, self.launch.world_size)

    def publish(self, spec: RunSpec) -> None:
        """Sends the run to the other ranks."""
        self.store.set("order", json.dumps(asdict(spec)))

    def receive(self) -> RunSpec:
        """Waits for the run that rank 0 publishes."""
        self.store.wait(["order"], RANK_TIMEOUT)
        given = json.loads(self.store.get("order"))
        return RunSpec(given["values"], given["folder"], tuple(given["plugins"]), tuple(given["search_path"]))

    def report(self, failure: Failure) -> None:
        """Reports to rank 0 why this process ends."""
        problems = [[one.code, one.key, one.message, one.hint, one.part] for one in failure.problems]
        key = f"failed/{self.launch.rank}"
        with suppress(RuntimeError):  # rank 0 is gone
            self.store.set(key, json.dumps([problems, failure.reason]))
            self.store.check([key])  # a store sends what it is given and does not wait; its answer says that it has it

    def failures(self) -> Iterator[Failure]:
        """The failures that processes have reported."""
        for rank in self.ranks:
            if self.store.check([f"failed/{rank}"]):
                problems, reason = json.loads(self.store.get(f"failed/{rank}"))
                yield Failure(rank, tuple(Problem(*one[:4], part=one[4]) for one in problems), reason)

    def join(self, device: torch.device, *, sharded: bool, check: Callable[[], object] = lambda: None) -> World:
        """Forms the process group, as soon as all processes are here.

        Args:
            device: The device of this process.
            sharded: Whether the model is spread over the processes.
            check: Called while rank 0 waits; raises if another process has ended.

        Raises:
            ForgeError: a process did not come.
        """
        launch = self.launch
        self.store.set(f"here/{launch.rank}", "")
        if launch.rank == 0:
            self._wait(check)
            self.store.set("all", "")
        else:
            self.store.wait(["all"], DATA_TIMEOUT)
        backend = distributed.get_default_backend_for_device(device)
        distributed.init_process_group(
            backend,
            store=PrefixStore("group", self.store),
            rank=launch.rank,
            world_size=launch.world_size,
            device_id=device if device.type != "cpu" else None,
        )
        cpu = distributed.new_group(backend="gloo")
        assert isinstance(cpu, distributed.ProcessGroup)
        return World(launch.rank, launch.world_size, cpu, sharded)

    def _wait(self, check: Callable[[], object]) -> None:
        end = time.monotonic() + RANK_TIMEOUT.total_seconds()
        while missing := [rank for rank in self.ranks if not self.store.check([f"here/{rank}"])]:
            check()
            if time.monotonic() > end:
                raise ForgeError([_absent(missing, self.launch)])
            time.sleep(0.02)


def leave() -> None:
    """Ends the process group, if there is one.

    Whoever drops the last reference to a group waits for its threads and holds Python's lock meanwhile. They may need
    that lock to drop what they reduced last, and then neither ends (gloo in torch 2.13). So they get a moment first.
    """
    if distributed.is_initialized():
        time.sleep(LAST_WORK)
        distributed.destroy_process_group()


def _absent(missing: list[int], launch: Launch) -> Problem:
    which = "process" if len(missing) == 1 else "processes"
    named = listed(map(str, missing), 4)
    minutes = plural(int(RANK_TIMEOUT.total_seconds() // 60), "minute")
    message = f"{which} {named} of {launch.world_size} did not come within {minutes}"
    hint = "start one in each task: `srun python train.py ...`" if launch.launcher == "Slurm" else "look at its log"
    return Problem("MF055", "trainer.devices", message, hint)
