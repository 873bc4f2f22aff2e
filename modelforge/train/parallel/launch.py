"""`Launch`: the rank of a process, from the environment variables of torchrun or Slurm.

Imports no torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import quoted

TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""The variables of torchrun, and of what starts processes as torchrun does, such as Kubeflow."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How one of several processes was launched, in the terms of torchrun."""

    rank: int
    world_size: int
    local_rank: int
    node_rank: int
    master_addr: str
    """The host of rank 0."""
    master_port: int
    launcher: str
    """The name of what started the processes, for messages."""
    hosts_store: bool = False
    """Whether rank 0 opens the port of the store itself."""
    restart_count: str = "0"
    """How often torchrun has restarted all processes, since one failed."""


def launch_of(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """The launch of this process by torchrun or Slurm; None where neither started several.

    Raises:
        ForgeError: a variable holds no number.

    Example:
        >>> launch = launch_of({"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"})
        >>> launch.rank, launch.world_size, launch.launcher
        (1, 2, 'torchrun')
    """
    if all(name in environment for name in TORCHRUN):
        rank = _number(environment, "RANK")
        return _several(
            Launch(
                rank,
                _number(environment, "WORLD_SIZE"),
                _number(environment, "LOCAL_RANK", rank),
                _number(environment, "GROUP_RANK"),
                environment["MASTER_ADDR"],
                _number(environment, "MASTER_PORT"),
                "torchrun",
                hosts_store=environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
                restart_count=environment.get("TORCHELASTIC_RESTART_COUNT", "0"),
            )
        )
    if environment.get("SLURM_NTASKS", "").isdecimal() and "SLURM_PROCID" in environment:
        return _several(
            Launch(
                _number(environment, "SLURM_PROCID"),
                _number(environment, "SLURM_NTASKS"),
                _number(environment, "SLURM_LOCALID"),
                _number(environment, "SLURM_NODEID"),
                environment.get("MASTER_ADDR") or _first_host(environment),
                _number(environment, "MASTER_PORT", _port(environment)),
                "Slurm",
                hosts_store=True,
            )
        )
    return None


def _number(environment: Mapping[str, str], name: str, otherwise: int = 0) -> int:
    """The whole number that a variable holds; one that is not there, or empty, holds `otherwise`."""
    text = environment.get(name) or str(otherwise)
    if not text.isdecimal():
        message = f"the environment variable `{name}` must be a whole number, but is {quoted(text)}"
        hint = f"torchrun or Slurm sets it; for a run of one process: `env -u {name} ...`"
        raise ForgeError([Problem("MF051", name, message, hint)])
    return int(text)


def _several(launch: Launch) -> Launch | None:
    return launch if launch.world_size > 1 else None


def _first_host(environment: Mapping[str, str]) -> str:
    """The first of the nodes of a job.

    Example:
        >>> lists = "gpu[08-11,15],a1", "a1,gpu[08-11]", "r[0-1]n[2-3]-ib"
        >>> [_first_host({"SLURM_STEP_NODELIST": nodes}) for nodes in lists]
        ['gpu08', 'a1', 'r0n2-ib']
    """
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_NODELIST") or "127.0.0.1"
    return re.sub(r"\[(\w+)[^]]*\]", r"\1", nodes).partition(",")[0]


def _port(environment: Mapping[str, str]) -> int:
    """A port that all processes of a step compute alike, and other steps hardly have."""
    job, step = environment.get("SLURM_JOB_ID", "0"), environment.get("SLURM_STEP_ID", "0")
    numbers = [int(text) if text.isdecimal() else 0 for text in (job, step)]
    return 15_000 + (numbers[0] * 7 + numbers[1]) % 20_000
