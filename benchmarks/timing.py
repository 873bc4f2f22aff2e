"""Times as ratios: contenders run in turn, in one process, and the best of several rounds of each counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any


def best_times(contenders: Mapping[str, Callable[[], Any]], rounds: int = 5) -> dict[str, float]:
    """Seconds of the best round of each contender; rounds are interleaved, so that noise hits all alike."""
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            result = run()
            best[name] = min(best[name], time.perf_counter() - start)
            del result
    return best


def report(title: str, times: Mapping[str, float], base: str) -> None:
    """Prints each contender's time and how it compares with `base`."""
    print(f"\n{title}")
    for name, seconds in times.items():
        print(f"  {name:<44} {seconds * 1e3:>10.1f} ms   {times[base] / seconds:>6.2f}x as fast as {base}")
