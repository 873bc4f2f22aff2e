"""The fuzzer as a program: `python tests/fuzz/run.py --seconds 3600 --seed 1`. Prints each fault once, and counts."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.cases import Cases
from tests.fuzz.oracle import SECONDS, judge

MEMORY = 2**30


def main() -> int:
    """Exit status 1 where a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for how long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--count", type=int, default=10**9, help="how many inputs at most")
    options = parser.parse_args()
    found, kinds, codes = Counter[str](), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        cases = Cases(Path(folder), options.seed)
        _limit_memory()
        stop, number = time.monotonic() + options.seconds, options.first
        while time.monotonic() < stop and number < options.first + options.count:
            case = cases.case(number)
            verdict = judge(case, SECONDS)
            kinds[case.kind] += 1
            codes.update(set(verdict.codes) or {"fine"})
            if find := verdict.find:
                found[find.kind] += 1
                if found[find.kind] == 1:
                    print(f"--- seed {options.seed}, input {number}: {find.kind}", flush=True)
                    print(f"{find.case.text[:3_000]!s}\n{find.detail}".encode("utf-8", "replace").decode(), flush=True)
            number += 1
            if number % 1_000 == 0:
                print(f"... {number - options.first:,} inputs, {len(found)} faults", flush=True)
    print(f"seed {options.seed}: {number - options.first:,} inputs {dict(kinds)}, {len(found)} faults")
    print("codes:", dict(codes.most_common()))
    for kind, times in found.most_common():
        print(f"{times:6} {kind}")
    return 1 if found else 0


def _limit_memory() -> None:
    """A gigabyte more than what is in use once all is imported."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))


if __name__ == "__main__":
    sys.exit(main())
