"""Folders of sweeps for tests: gains and seeds, with curves and predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.runs.jobs import job

CURVE = "epoch,step,train/loss,val/accuracy\n0,9,1.5,{}\n1,19,0.5,{}\n"


def swept(root: Path, results: Mapping[tuple[str, str, int], float | None], **fields: object) -> Path:
    """A multirun over `init`, `init.gain` and `seed`; a result of None is a divergence."""
    for number, ((init, gain, seed), value) in enumerate(results.items()):
        overrides = [f"init={init}", f"init.gain={gain}", f"seed={seed}"]
        folder = root / f"{number},{','.join(overrides)}"
        diverged = value is None
        metrics = {} if value is None else {"val/accuracy": value, "test/accuracy": value - 0.01}
        error = [{"message": "training diverged at step 3: the loss is not finite"}] if diverged else []
        job(folder, "diverged" if diverged else "finished", overrides, metrics=metrics, error=error, **fields)
        (folder / "metrics.csv").write_text(CURVE.format(0.1, 0.2 if value is None else value))
        start = {"predicted_gradient": 1e9 if float(gain) > 2 else 0.5 * float(gain), "first_gradient": float(gain)}
        (folder / "start.json").write_text(json.dumps({"format_version": "1.0", **start}))
    (root / "multirun.yaml").write_text("")
    return root


def gains(root: Path) -> Path:
    """Two inits, three gains, three seeds: one gain is best by far, one diverges in part."""
    means = {"0.5": 0.7, "1": 0.9, "4": None}
    results = {
        (init, gain, seed): None
        if mean is None and (init == "xavier" or seed)
        else (0.4 if mean is None else mean) + 0.01 * seed + (0.002 if init == "xavier" else 0.0)
        for init in ("orthogonal", "xavier")
        for gain, mean in means.items()
        for seed in range(3)
    }
    return swept(root, results)
