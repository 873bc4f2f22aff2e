"""`Meeting`: the store through which the processes of a training find each other, and say why they end."""

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
from modelforge.train.parallel.place import Place
from modelforge.train.parallel.team import Order, Team

PATIENCE = timedelta(minutes=10)
"""How long the first process waits for the others, and they for it."""
READING = timedelta(hours=12)
"""How long the others wait while the first reads the data."""


@dataclass(frozen=True)
class Failure:
    """Why a process ended."""

    rank: int
    problems: tuple[Problem, ...] = ()
    """What it found wrong; empty for anything else."""
    reason: str = ""
    """Anything else: a traceback."""


class Meeting:
    """The processes of one training before they are a `Team`, and what each says to the first.

    Args:
        place: Of this process.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._server = TCPStore(
            place.address,
            place.port,
            is_master=place.hosts and place.rank == 0,
            wait_for_workers=False,
            timeout=PATIENCE,
        )
        self.port = self._server.port
        self.store = PrefixStore(f"modelforge/{place.attempt}", self._server)

    @property
    def ranks(self) -> range:
        """All processes but the first."""
        return range(1, self.place.size)

    def give(self, order: Order) -> None:
        """Says what is to be trained."""
        self.store.set("order", json.dumps(asdict(order)))

    def take(self) -> Order:
        """What is to be trained, as soon as the first process says it."""
        self.store.wait(["order"], PATIENCE)
        given = json.loads(self.store.get("order"))
        return Order(given["values"], given["folder"], tuple(given["plugins"]), tuple(given["search_path"]))

    def fail(self, failure: Failure) -> None:
        """Tells the first process why this one ends."""
        problems = [[one.code, one.path, one.message, one.hint, one.part] for one in failure.problems]
        with suppress(RuntimeError):  # the first process is gone
            self.store.set(f"failed/{self.place.rank}", json.dumps([problems, failure.reason]))

    def failures(self) -> Iterator[Failure]:
        """What processes have said of their end."""
        for rank in self.ranks:
            if self.store.check([f"failed/{rank}"]):
                problems, reason = json.loads(self.store.get(f"failed/{rank}"))
                yield Failure(rank, tuple(Problem(*one[:4], part=one[4]) for one in problems), reason)

    def meet(self, device: torch.device, *, sharded: bool, check: Callable[[], object] = lambda: None) -> Team:
        """Makes the processes a team, as soon as all are here.

        Args:
            device: Where this process trains.
            sharded: Whether the model is spread over the processes.
            check: Called while the first process waits; raises if one of the others has ended.

        Raises:
            ForgeError: one did not come.
        """
        place = self.place
        self.store.set(f"here/{place.rank}", "")
        if place.rank == 0:
            self._wait(check)
            self.store.set("all", "")
        else:
            self.store.wait(["all"], READING)
        backend = distributed.get_default_backend_for_device(device)
        distributed.init_process_group(
            backend,
            store=PrefixStore("group", self.store),
            rank=place.rank,
            world_size=place.size,
            device_id=device if device.type != "cpu" else None,
        )
        cpu = distributed.new_group(backend="gloo")
        assert isinstance(cpu, distributed.ProcessGroup)
        return Team(place.rank, place.size, cpu, sharded)

    def _wait(self, check: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE.total_seconds()
        while missing := [rank for rank in self.ranks if not self.store.check([f"here/{rank}"])]:
            check()
            if time.monotonic() > end:
                raise ForgeError([_absent(missing, self.place)])
            time.sleep(0.02)


def _absent(missing: list[int], place: Place) -> Problem:
    which = "process" if len(missing) == 1 else "processes"
    named = listed(map(str, missing), 4)
    minutes = plural(int(PATIENCE.total_seconds() // 60), "minute")
    message = f"{which} {named} of {place.size} did not come within {minutes}"
    hint = "start one in each task: `srun python train.py ...`" if place.starter == "Slurm" else "look at its log"
    return Problem("MF055", "trainer.devices", message, hint)
