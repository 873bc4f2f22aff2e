"""Processor time of the commands that are typed most, against that of `import torch`, which all that plan a model need.

python benchmarks/front_door.py [rounds]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable

from timing import ratio, times

TORCH = "import torch"
COMMANDS = {
    TORCH: (["-c", "import torch"], 1.0),
    "modelforge --help": (["-c", "from modelforge.cli import main; main()", "--help"], 0.25),
    "train.py --cfg job": (["train.py", "--cfg", "job"], 0.5),
    "modelforge check model=lstm": (["-c", "from modelforge.cli import main; main()", "check", "model=lstm"], 1.4),
    "modelforge check (all of conf/)": (["-c", "from modelforge.cli import main; main()", "check"], 8.0),
}
"""What to run → what Python is given, and how many times as long as `import torch` it may take."""


def main() -> None:
    """Prints the median of each ratio beside its bound."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    runs = {name: _runner(arguments) for name, (arguments, _) in COMMANDS.items()}
    for run in runs.values():
        run()  # the first one compiles modules to bytecode
    taken = times(runs, rounds, clock=_of_children)
    for name, (_, bound) in COMMANDS.items():
        found = ratio(taken, name, TORCH)
        verdict = "" if found <= bound else f"   more than {bound:g}"
        print(f"  {name:<34} {min(taken[name]):>7.2f} s   {found:>6.2f} times `import torch`{verdict}")


def _runner(arguments: list[str]) -> Callable[[], object]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["OMP_NUM_THREADS"] = "1"
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
