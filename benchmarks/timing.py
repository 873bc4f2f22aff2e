"""Times as ratios: contenders run in turn, in one process, and the median ratio over several rounds counts."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np


def times(
    contenders: Mapping[str, Callable[[], Any]],
    rounds: int = 5,
    num_bytes: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each contender in each round. Rounds are interleaved and every other one runs backwards, so that noise
    and what one leaves in the caches hit all alike.

    Args:
        contenders: What to run, by name.
        rounds: How often.
        num_bytes: Fresh memory that a run will write. Before each, as much is written once and given back: a virtual
            machine's host takes memory away that has been free for seconds, and the next writer would pay for it.
        clock: The seconds so far.
    """
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for index in range(rounds):
        for name, run in list(contenders.items())[:: -1 if index % 2 else 1]:
            _touch(num_bytes)
            _return_memory()
            start = clock()
            result = run()
            taken[name].append(clock() - start)
            del result
    return taken


def ratio(taken: Mapping[str, list[float]], name: str, base: str) -> float:
    """How many times as long as `base` it takes: the median over the rounds, each of which compares like with like."""
    return median(mine / other for mine, other in zip(taken[name], taken[base], strict=True))


def report(title: str, taken: Mapping[str, list[float]], base: str) -> None:
    """Prints each contender's best time and how it compares with `base`."""
    print(f"\n{title}")
    for name, seconds in taken.items():
        print(f"  {name:<44} {min(seconds) * 1e3:>10.1f} ms   {1 / ratio(taken, name, base):>6.2f}x as fast as {base}")


def _touch(num_bytes: int) -> None:
    np.full(num_bytes, 1, dtype=np.uint8)


def _return_memory() -> None:
    """Gives freed memory back to the system, so that each run finds fresh memory, as in a process that runs once."""
    gc.collect()
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
