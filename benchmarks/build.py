"""Build and initialise GPT-2 medium, draw truncated normals, plan long chains; memory and time as ratios.

    python benchmarks/build.py

All figures come from one run on one machine; the ratios are what counts.
"""

from __future__ import annotations

import multiprocessing
import resource
from pathlib import Path
from typing import Any

import torch
from models import GPT2_MEDIUM, bare_fill, chain_spec, gpt2_by_hand, gpt2_spec, num_elements
from timing import ratio, report, times
from torch import nn

import modelforge as mf
from modelforge.config.folder import options
from modelforge.inits.laws import drawing, transforms

FLOAT_BYTES = 4


def main() -> None:
    """Runs everything and prints it."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    _build()
    _truncated_normal()
    _planning()
    _memory()


def _build() -> None:
    spec = gpt2_spec(**GPT2_MEDIUM)
    mf.build(spec)  # loads what loops are compiled: see `modelforge.inits.laws.drawing`
    count = mf.plan(spec).num_parameters
    by_hand = num_elements(gpt2_by_hand(**GPT2_MEDIUM))
    assert count == by_hand, f"the two models differ: {count:,} and {by_hand:,} parameters"
    taken = times(
        {
            "plain torch, constructed and re-initialised": lambda: gpt2_by_hand(**GPT2_MEDIUM),
            "modelforge, parsed to initialised": lambda: mf.build(gpt2_spec(**GPT2_MEDIUM)),
            "one fill of fresh memory": lambda: bare_fill(count),
        },
        rounds=5,
        num_bytes=FLOAT_BYTES * count,
    )
    report(f"GPT-2 medium, {count / 1e6:.0f} M parameters", taken, "plain torch, constructed and re-initialised")


def _truncated_normal(count: int = 1 << 24) -> None:
    model = nn.Linear(1 << 12, count >> 12, bias=False)
    taken = times(
        {
            "torch.nn.init.trunc_normal_": lambda: nn.init.trunc_normal_(model.weight, std=1.0),
            "modelforge truncated_normal": lambda: mf.initialize(model, {"scheme": "truncated_normal", "std": 1.0}),
        }
    )
    report(f"truncated normal, {count / 1e6:.0f} M values", taken, "torch.nn.init.trunc_normal_")


def _planning() -> None:
    specs = {depth: chain_spec(depth) for depth in (100, 1000, 10_000)}
    taken = times({f"{depth}": lambda spec=spec: mf.plan(spec) for depth, spec in specs.items()})
    milliseconds = min(taken["1000"]) * 1e3
    print(f"\nplanning 1,000 layers takes {ratio(taken, '1000', '100'):.1f}x as long as 100 ({milliseconds:.0f} ms)")
    print(f"planning 10,000 layers takes {ratio(taken, '10000', '1000'):.1f}x as long as 1,000")
    zoo = {name: mf.load(overrides=[f"model={name}"]) for name in options(None, "model")}
    taken = times({name: lambda spec=spec: mf.plan(spec) for name, spec in zoo.items()})
    slowest = max(taken, key=lambda name: min(taken[name]))
    print(f"planning a file of conf/model takes at most {min(taken[slowest]) * 1e3:.0f} ms ({slowest})")


def _memory() -> None:
    """Peak resident memory of a fresh process that builds, above what it has with everything imported and planned."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        loops, growth, size = pool.apply(_grow)
    print(f"\npeak memory of the build: {growth / size:.3f}x the parameters' size of {size / 2**20:.0f} MiB")
    print(f"with the compiled loops, which a process loads once: {(growth + loops) / size:.3f}x")


def _grow() -> tuple[int, int, int]:
    """Bytes of the compiled loops, of the build, and of the parameters."""
    mf.build(chain_spec(2))
    decided = mf.plan(gpt2_spec(**GPT2_MEDIUM))
    start = _peak()
    drawing.expect(decided.num_parameters)
    if (compiled := drawing.loaded()) is not None:
        for transform in (transforms.uniform, transforms.normal):
            compiled.loop(transform)
    before = _peak()
    model: Any = mf.build(decided)
    return before - start, _peak() - before, FLOAT_BYTES * num_elements(model)


def _peak() -> int:
    """Bytes. Linux keeps the figure of `getrusage` over a fork and exec, so the process's own is read there."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
