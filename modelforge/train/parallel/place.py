"""`Place`: where a process stands among those of its training; torchrun and Slurm say so in the environment.

Imports no torch: every run asks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun sets, and what else starts processes as torchrun does, such as Kubeflow."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of several processes."""

    rank: int
    size: int
    local_rank: int
    node: int
    address: str
    """Of the first process."""
    port: int
    starter: str
    """What started the processes, in words."""
    hosts: bool = False
    """Whether the first process opens the port itself."""
    attempt: str = "0"
    """torchrun starts all processes again where one fails."""


def place_of(environment: Mapping[str, str] = os.environ) -> Place | None:
    """The place that torchrun or Slurm gave to this process; None where neither started several.

    Example:
        >>> place = place_of({"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"})
        >>> place.rank, place.size, place.starter
        (1, 2, 'torchrun')
    """
    if all(name in environment for name in TORCHRUN):
        rank, size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        return _several(
            Place(
                rank,
                size,
                int(environment.get("LOCAL_RANK", rank)),
                int(environment.get("GROUP_RANK", 0)),
                environment["MASTER_ADDR"],
                int(environment["MASTER_PORT"]),
                "torchrun",
                hosts=environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
                attempt=environment.get("TORCHELASTIC_RESTART_COUNT", "0"),
            )
        )
    if environment.get("SLURM_NTASKS", "").isdecimal() and "SLURM_PROCID" in environment:
        return _several(
            Place(
                int(environment["SLURM_PROCID"]),
                int(environment["SLURM_NTASKS"]),
                int(environment.get("SLURM_LOCALID", 0)),
                int(environment.get("SLURM_NODEID", 0)),
                environment.get("MASTER_ADDR") or _first_host(environment),
                int(environment.get("MASTER_PORT") or _port(environment)),
                "Slurm",
                hosts=True,
            )
        )
    return None


def _several(place: Place) -> Place | None:
    return place if place.size > 1 else None


def _first_host(environment: Mapping[str, str]) -> str:
    """The first of the nodes of a job.

    Example:
        >>> _first_host({"SLURM_STEP_NODELIST": "gpu[08-11,15],login1"}), _first_host({"SLURM_NODELIST": "a1,a2"})
        ('gpu08', 'a1')
    """
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_NODELIST") or "127.0.0.1"
    before, bracket, within = nodes.partition("[")
    return f"{before}{within.replace('-', ',').replace(']', ',').split(',')[0]}" if bracket else nodes.split(",")[0]


def _port(environment: Mapping[str, str]) -> int:
    """A port that all processes of a step compute alike, and other steps hardly have."""
    job, step = environment.get("SLURM_JOB_ID", "0"), environment.get("SLURM_STEP_ID", "0")
    numbers = [int(text) if text.isdecimal() else 0 for text in (job, step)]
    return 15_000 + (numbers[0] * 7 + numbers[1]) % 20_000
