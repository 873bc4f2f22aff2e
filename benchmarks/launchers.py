"""Many small jobs on one machine: joblib with two workers against one process after another, imports counted.

python benchmarks/launchers.py [jobs] [rounds]
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from timing import ratio, times

ROOT = Path(__file__).parents[1]
JOB = ("model=mlp", "trainer=fast", "trainer.max_epochs=5", "logger=none", "diagnose=false")
ENGINES = {"basic": (), "joblib": ("hydra.launcher.n_jobs=2",)}


def main() -> None:
    """Prints the seconds of a whole multirun with each engine."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    taken = times({name: _sweep(name, settings, jobs) for name, settings in ENGINES.items()}, rounds)
    print(f"\n{jobs} jobs of five epochs")
    for name, seconds in taken.items():
        print(f"  {name:<8} {min(seconds):>7.1f} s   {1 / ratio(taken, name, 'basic'):>5.2f}x as fast as basic")


def _sweep(launcher: str, settings: tuple[str, ...], jobs: int) -> Callable[[], object]:
    seeds = ",".join(map(str, range(jobs)))
    command = [sys.executable, "train.py", "-m", *JOB, f"seed={seeds}", f"hydra/launcher={launcher}", *settings]

    def run() -> None:
        with TemporaryDirectory() as folder:
            place = f"hydra.sweep.dir={folder}/sweep"
            subprocess.run([*command, place], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)

    return run


if __name__ == "__main__":
    main()
