"""agreed_digest, check_dealt: whether all processes start with the same values, and read the same data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from modelforge.building.checksum import checksum_of, digest_of, parts_of, whole_of
from modelforge.building.shards import shard_of
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.words import plural
from modelforge.train.arguments import misuse
from modelforge.train.data.parts import Examples
from modelforge.train.parallel.world import World


def agreed_digest(model: nn.Module, world: World, num_copies: int) -> str:
    """The digest of the initial values of a model that the processes have in several copies.

    Args:
        model: The model, as this process has it.
        world: The processes.
        num_copies: The number of copies; each is spread over as many processes, in the order of their ranks.

    Returns:
        12 hexadecimal digits: the same for one process, and for any number of them.

    Raises:
        ForgeError: two copies differ.
    """
    weights = dict(model.named_parameters())
    # Every copy counts here, unlike in the ledger.
    own = [parts_of(checksum_of(replace(shard_of(weight), counts=True))) for weight in weights.values()]
    every, each = world.gather(own), world.size // num_copies
    copies = [_added(every[first : first + each]) for first in range(0, world.size, each)]
    for number, copy in enumerate(copies):
        for name, one, other in zip(weights, copies[0], copy, strict=True):
            if one != other:
                raise ForgeError([_differs(name, number * each, world.size)])
    text = "\n".join(f"{name} {digest_of(one)}" for name, one in zip(weights, copies[0], strict=True))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def check_dealt(examples: Examples, world: World) -> None:
    """Checks that all processes read the same data, and that there is enough of it.

    Raises:
        ForgeError: they did not, or there is not.
    """
    found, rows = examples.fitted["digest"], len(examples.train)
    if other := next((rank for rank, one in enumerate(world.gather(found)) if one != found), None):
        message = f"process {other} of {world.size} reads other data than process 0: its digest differs"
        hint = "give all machines the same files, in one folder that they share"
        raise ForgeError([Problem("MF054", "data", message, hint, part="key")])
    if rows < world.size:
        message = f"{plural(rows, 'example')} to train on cannot be dealt to {world.size} processes"
        raise ForgeError([misuse("trainer.devices", message, "choose fewer processes")])


def _added(parts: Sequence[list[list[float]]]) -> list[int]:
    """The checksums of whole parameters, of which each process has a part."""
    return [whole_of(map(sum, zip(*one, strict=True))) for one in zip(*parts, strict=True)]


def _differs(name: str, rank: int, size: int) -> Problem:
    message = f"process {rank} of {size} starts with other values of `{name}` than process 0"
    hint = "give all machines the same versions of modelforge, torch and numpy, and of your own code"
    return Problem("MF054", "trainer.devices", message, hint)
