"""Where the time of a build goes: the parts of two models, and nanoseconds a value of what the compiled loops do.

    python benchmarks/engine.py

The parts are the best of several rounds, in milliseconds; a value's are those of one thread, in processor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numba
import numpy as np
import torch
from models import GPT2_MEDIUM, bare_fill, gpt2_spec, vit_large_spec
from timing import times

import modelforge as mf
from modelforge.building import build as building
from modelforge.building.fill import fill_module
from modelforge.core.rng import Key
from modelforge.inits.laws import compiled
from modelforge.inits.laws import transforms as words

ROUNDS = 5
COUNT = 1 << 20
"""Values of a chunk."""
PIECE = 2048
"""Values that a compiled loop has at a time, in a core's smallest cache."""


def main() -> None:
    """Prints both tables."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for title, spec in (("GPT-2 medium", partial(gpt2_spec, **GPT2_MEDIUM)), ("ViT-L", vit_large_spec)):
        _parts(title, spec)
    _values()


def _parts(title: str, make: Callable[[], mf.ModelSpec]) -> None:
    size = mf.plan(make()).num_parameters
    mf.build(make())
    rounds = [dict(_timed(make, size)) for _ in range(ROUNDS)]
    print(f"\n{title}, {size / 1e6:.0f} M parameters")
    for name in rounds[0]:
        print(f"  {name:<52} {min(taken[name] for taken in rounds):8.1f} ms")


def _timed(make: Callable[[], mf.ModelSpec], size: int) -> Iterator[tuple[str, float]]:
    """Name and milliseconds of each part of one build."""
    (whole,) = times({"": lambda: mf.build(make())}, rounds=1, num_bytes=4 * size).values()
    yield "the whole build", 1e3 * whole[0]
    (fill,) = times({"": lambda: bare_fill(size)}, rounds=1, num_bytes=4 * size).values()
    yield "one fill of fresh memory", 1e3 * fill[0]
    spec, taken = _clocked(make)
    yield "parse", taken
    plan, taken = _clocked(lambda: mf.plan(spec))
    yield "plan", taken
    model, taken = _clocked(lambda: building._assemble(plan, 0))
    yield "modules on the meta device", taken
    _, taken = _clocked(lambda: building._materialise(model, torch.device("cpu"), None))
    yield "allocation", taken
    _, first = _clocked(lambda: fill_module(model, plan.parameters, 0))
    _, again = _clocked(lambda: fill_module(model, plan.parameters, 0))
    yield "draw, measure and check, in memory that was written", again
    yield "new pages: what the first fill takes longer", first - again


def _clocked(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = run()
    return result, 1e3 * (time.perf_counter() - start)


def _values() -> None:
    """What a value costs: words alone, words and transform, and with the measurements."""
    state, out, drawn = Key(0).state(), np.empty(COUNT, np.float32), np.empty(PIECE // 2, np.uint64)
    blind, seeing = compiled._watch(0), compiled._watch(COUNT, 0.0, 1.0)
    contenders: dict[str, Callable[[], Any]] = {
        "write": lambda: out.fill(1.0),
        "random words": lambda: _words(state, drawn, COUNT // PIECE),
        "measure": lambda: compiled._loop_look(out, *seeing),
    }
    for name, loop, numbers in (
        ("uniform", compiled._loop_uniform, words.uniform_numbers(0.0, 1.0)),
        ("normal", compiled._loop_normal, words.normal_numbers(0.0, 1.0)),
    ):
        contenders[f"{name}: words, transform and write"] = partial(loop, state, out, numbers, *words.UNBOUNDED, *blind)
        contenders[f"{name}: all, measured"] = partial(loop, state, out, numbers, *words.UNBOUNDED, *seeing)
    for run in contenders.values():
        run()
    taken = times(contenders, rounds=20, clock=time.thread_time)
    print(f"\na value, in chunks of {COUNT / 1e6:.0f} M, on one thread")
    for name, seconds in taken.items():
        print(f"  {name:<52} {1e9 * min(seconds) / COUNT:8.2f} ns")


@numba.njit
def _words(state: Any, drawn: Any, pieces: int) -> None:
    a, b, c, count = state
    for _ in range(pieces):
        for index in range(len(drawn)):
            drawn[index], a, b, c, count = compiled._next(a, b, c, count)


if __name__ == "__main__":
    main()
