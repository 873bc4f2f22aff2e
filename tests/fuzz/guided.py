"""The fuzzer guided by coverage: `python tests/fuzz/guided.py scan SEEDS -max_total_time=1800`; it takes atheris.

Targets are those of `targets.py`; `SEEDS` is a folder, which is filled with good inputs; options are libFuzzer's.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from random import Random

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))


def main(name: str, folder: str, *options: str) -> None:
    """Runs one target until libFuzzer ends it, and prints what came of its inputs whenever 10,000 are done."""
    with atheris.instrument_imports(include=["modelforge.config", "modelforge.language", "yaml"]):
        targets = import_module("tests.fuzz.targets")
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(targets.seeds(name)):
        Path(folder, f"seed{number}").write_bytes(data)
    random, done = Random(0), 0

    def target(data: bytes) -> None:
        nonlocal done
        targets.TARGETS[name](data)
        done += 1
        if not done % 10_000:
            print(f"{name}: {done:,} inputs: {dict(targets.ANSWERS.most_common())}", flush=True)

    def mutator(data: bytes, most: int, seed: int) -> bytes:
        random.seed(seed)
        if random.random() < 0.6:
            return targets.mutated(data, random, is_model=name != "scan")[:most]
        return atheris.Mutate(data, most)

    atheris.Setup([sys.argv[0], folder, *options], target, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
