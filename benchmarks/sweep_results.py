"""`modelforge sweep` over many jobs: makes a folder of them, and times the table, JSON and the page.

python benchmarks/sweep_results.py [JOBS]
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

INITS = ("orthogonal", "xavier_normal", "kaiming_normal", "lecun_normal")
NUM_SEEDS = 5
EPOCHS = 30
CODE = "from modelforge.cli import main; main()"


def make(root: Path, num_jobs: int) -> None:
    """A multirun over inits, gains, learning rates and seeds; of large gains some diverged, the last job is missing."""
    rng = random.Random(0)
    jobs: list[dict[str, object]] = []
    for number in range(num_jobs):
        setting, seed = divmod(number, NUM_SEEDS)
        setting, init = divmod(setting, len(INITS))
        step, gain = divmod(setting, 50)
        overrides = [
            f"init={INITS[init]}",
            f"init.gain={0.1 * (gain + 1):.1f}",
            f"optimizer.lr={1e-4 * 1.5**step:.3g}",
            f"seed={seed}",
        ]
        folder = f"{number},{','.join(overrides)}"
        jobs.append({"number": number, "hash": "", "seed": seed, "overrides": overrides, "folder": folder})
        if number < num_jobs - 1:
            _run(root / folder, overrides, gain, rng)
    (root / "sweep.json").write_text(json.dumps({"format_version": "1.0", "jobs": jobs}))


def _run(folder: Path, overrides: list[str], gain: int, rng: random.Random) -> None:
    (folder / "checkpoints").mkdir(parents=True)
    diverged = rng.random() < (gain - 30) / 20
    value = 0.9 - 0.0004 * (gain - 10) ** 2 + rng.gauss(0, 0.01)
    status = {
        "state": "diverged" if diverged else "finished",
        "overrides": overrides,
        "metrics": {} if diverged else {"val/accuracy": value, "test/accuracy": value, "test/loss": 1 - value},
        "error": [{"message": "training diverged at step 3: the loss is not finite"}] if diverged else [],
        "seconds": 12.5,
        "optimized_metric": "val/accuracy",
        "host": "bench",
        "pid": 1,
    }
    (folder / "status.json").write_text(json.dumps(status))
    start = {"format_version": "1.0", "predicted_gradient": 10.0 ** (gain / 4 - 5), "first_gradient": 0.1 * gain + 0.1}
    (folder / "start.json").write_text(json.dumps(start))
    packages = {name: "1.0" for name in ("modelforge", "torch", "lightning", "numpy", "hydra-core", "pydantic")}
    origin = {"python": "3.11", "packages": packages, "data": "0" * 64, "data_settings": "1" * 64, "code": None}
    (folder / "environment.json").write_text(json.dumps(origin))
    curve = [f"{epoch},{epoch * 9},1,{value * epoch / EPOCHS}\n" for epoch in range(EPOCHS)]
    (folder / "metrics.csv").write_text("epoch,step,train/loss,val/accuracy\n" + "".join(curve))


def _used() -> float:
    """Seconds of a core that the commands so far took."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Makes the folder and times the commands."""
    num_jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with TemporaryDirectory() as name:
        root = Path(name) / "sweep"
        make(root, num_jobs)
        page = Path(name) / "sweep.html"
        ways = {"table": [], "--group seed": ["--group", "seed"], "--json": ["--json"], "page": ["--output", str(page)]}
        for label, options in ways.items():
            begin, used = time.monotonic(), _used()
            command = [sys.executable, "-c", CODE, "sweep", str(root), *options]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
            print(f"{label:>14}  {num_jobs:,} jobs  {time.monotonic() - begin:.1f} s, {_used() - used:.1f} s of a core")
        print(f"{'page':>14}  {page.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
