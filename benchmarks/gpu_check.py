"""Whether builds, trainings and predictions on a CUDA device are those of the CPU: one line for each check.

The last checks train a sharded model: over NCCL with a GPU, also a single one, else over gloo in two processes.

python benchmarks/gpu_check.py [device]
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

import modelforge as mf
from modelforge.config.compose import compose
from modelforge.language import parse

ROOT = Path(__file__).parents[1]
CNN = ("model=cnn", "data=digits", "logger=csv", "trainer.enable_progress_bar=false")
MODELS = (("model=cnn", "data=digits"), ("model=gpt2", "data=text"), ("model=lstm",))
"""What is built on both devices."""
TOLERANCE = 1e-4
"""Between probabilities of the two devices: float32 sums in another order."""
CURVE = 1e-3
"""Between losses of one process and of several, after three epochs of steps that round otherwise."""
ORTHOGONAL = 1e-5
"""Between W W' and 1: rounding of float32, over 1024 terms."""
WITHOUT_DROPOUT = ("model.layers.dropout1.p=0", "model.layers.dropout2.p=0", "trainer.max_epochs=3")
"""Dropout differs between processes."""
PATIENCE = 600
"""Seconds for one training: on a GPU it takes some 20, in two processes on busy cores 100 and more."""
ENOUGH = 0.8
"""Accuracy on the digits after two epochs."""
ONE_EXAMPLE = 1 / 269
"""Of the test part: trainings use TF32 in convolutions, and here it is switched off."""


def main() -> None:
    """Prints the outcome of each check; exits with 1 where one fails."""
    device = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cuda")
    torch.backends.cudnn.allow_tf32 = False
    failed = 0
    with TemporaryDirectory() as folder:
        for name, check in checks(device, Path(folder)):
            begin = time.perf_counter()
            try:
                verdict, fact = check()
            except Exception as error:  # a check that breaks must not hide the others
                verdict, fact = False, f"{type(error).__name__}: {error}"
            failed += not verdict
            print(
                f"{'ok  ' if verdict else 'FAIL'}  {name:<36} {time.perf_counter() - begin:6.1f} s  {fact}", flush=True
            )
    sys.exit(failed > 0)


def checks(device: torch.device, folder: Path) -> Iterator[tuple[str, Callable[[], tuple[bool, str]]]]:
    """Every check by its name; later ones use the run of an earlier one."""
    whole, part, resumed, plain = (folder / name for name in ("whole", "part", "resumed", "plain"))
    shards, single = folder / "shards", folder / "single"
    mixed = (*CNN, "trainer.precision=bf16-mixed", "trainer.deterministic=true")
    yield "device", lambda: (device.type == "cpu" or torch.cuda.is_available(), _name(device))
    for model in MODELS:
        yield f"initial values, {model[0]}", lambda model=model: _same_values(model, device)
    yield "bf16-mixed, three epochs", lambda: _trains(device, whole, *mixed, "trainer.max_epochs=3")
    yield "two epochs", lambda: _trains(device, part, *mixed, "trainer.max_epochs=2")
    ckpt = f"ckpt={part / 'checkpoints' / 'last.ckpt'}"
    yield "resumed to three", lambda: _trains(device, resumed, *mixed, "trainer.max_epochs=3", ckpt)
    yield "resumed equals undisturbed", lambda: _same_weights(whole, resumed)
    yield "float32, three epochs", lambda: _trains(device, plain, *CNN, "trainer.max_epochs=3")
    yield "prediction equals the CPU's", lambda: _same_predictions(plain, device)
    yield "evaluation gives the run's accuracy", lambda: _same_accuracy(plain, device)
    yield "orthogonal, 1024 x 1024", lambda: _is_orthogonal(device)
    yield "forward pass equals the CPU's", lambda: _same_outputs(device)
    sharded = ("trainer=fsdp", f"trainer.devices={_processes(device)}", f"data.batch_size={64 // _processes(device)}")
    yield "sharded, three epochs", lambda: _trains(device, shards, *CNN, *WITHOUT_DROPOUT, *sharded)
    yield "the same in one process", lambda: _trains(device, single, *CNN, *WITHOUT_DROPOUT, "data.batch_size=64")
    yield "sharded starts as one process", lambda: _same_start(single, shards)
    yield "sharded follows its curve", lambda: _same_curve(single, shards)
    onwards = ("trainer.max_epochs=4", f"ckpt={shards / 'checkpoints' / 'last.ckpt'}", "data.batch_size=64")
    yield "one process goes on from it", lambda: _trains(device, folder / "on", *CNN, *WITHOUT_DROPOUT, *onwards)
    narrow = (*CNN, *WITHOUT_DROPOUT, *sharded, "trainer.precision=bf16-mixed")
    yield "sharded, bf16-mixed", lambda: _trains(device, folder / "narrow", *narrow)


def _name(device: torch.device) -> str:
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
    return f"{where}, torch {torch.__version__}"


def _same_values(overrides: tuple[str, ...], device: torch.device) -> tuple[bool, str]:
    plan = mf.plan(parse(compose(ROOT / "conf", overrides)))
    found = [mf.digest(mf.build(plan, seed=0, device=place)) for place in ("cpu", device)]
    return found[0] == found[1], " and ".join(one[:12] for one in found)


def _trains(device: torch.device, folder: Path, *overrides: str) -> tuple[bool, str]:
    accelerator = "gpu" if device.type == "cuda" else "cpu"
    settings = (*overrides, f"trainer.accelerator={accelerator}", f"hydra.run.dir={folder}")
    done = subprocess.run(
        [sys.executable, "train.py", *settings], cwd=ROOT, text=True, capture_output=True, timeout=PATIENCE, check=False
    )
    if done.returncode:
        return False, done.stderr.strip()[-2000:]
    accuracy = mf.load_run(folder).reported["test/accuracy"]
    return accuracy >= ENOUGH, f"test/accuracy {accuracy:.4f}"


def _same_weights(one: Path, other: Path) -> tuple[bool, str]:
    first, second = (_state(folder) for folder in (one, other))
    far = max(float((first[name].double() - second[name].double()).abs().max()) for name in first)
    return first.keys() == second.keys() and far == 0, f"largest difference {far:g}"


def _state(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)["state_dict"]


def _same_predictions(folder: Path, device: torch.device) -> tuple[bool, str]:
    pictures = np.random.default_rng(0).uniform(0, 16, (256, 8, 8)).astype("float32")
    ours, theirs = (mf.load_run(folder, device=place).predict(pictures) for place in ("cpu", device))
    numbers = [name for name, column in ours.items() if np.issubdtype(np.asarray(column).dtype, np.floating)]
    far = max(float(np.abs(np.asarray(ours[name]) - np.asarray(theirs[name])).max()) for name in numbers)
    return far <= TOLERANCE, f"largest difference {far:.2g} in {len(numbers)} columns"


def _processes(device: torch.device) -> int:
    """One for each GPU, and two on the CPU: NCCL on one GPU does what it does on several."""
    return torch.cuda.device_count() if device.type == "cuda" else 2


def _is_orthogonal(device: torch.device) -> tuple[bool, str]:
    layers = {"one": {"type": "Linear", "out_features": 1024, "bias": False}}
    plan = mf.plan(parse({"input": {"shape": [1024]}, "layers": layers}, init="orthogonal"))
    begin = time.perf_counter()
    weight = mf.build(plan, device=device).one.weight.detach()
    seconds = time.perf_counter() - begin
    off = float((weight.double() @ weight.double().T - torch.eye(1024, device=device, dtype=torch.float64)).abs().max())
    return off <= ORTHOGONAL, f"largest deviation {off:.1g} in {seconds:.2f} s"


def _same_outputs(device: torch.device) -> tuple[bool, str]:
    plan = mf.plan(parse(compose(ROOT / "conf", ("model=cnn", "data=digits"))))
    (given,) = plan.inputs.values()
    pictures = torch.from_numpy(np.random.default_rng(0).uniform(0, 16, given.of(64)).astype("float32"))
    found: list[torch.Tensor] = []
    for place in (torch.device("cpu"), device):
        with torch.no_grad():
            found.append(mf.build(plan, seed=0, device=place).eval()(pictures.to(place)).cpu().double())
    far = float((found[0] - found[1]).abs().max() / found[0].abs().max())
    return far <= TOLERANCE, f"largest difference {far:.2g} of the largest output"


def _same_start(one: Path, other: Path) -> tuple[bool, str]:
    first, second = (json.loads((run / "ledger.json").read_text())["parameters"] for run in (one, other))
    same = [entry["digest"] for entry in first] == [entry["digest"] for entry in second]
    return same, f"{len(first)} parameters"


def _same_curve(one: Path, other: Path) -> tuple[bool, str]:
    first, second = (_losses(run) for run in (one, other))
    far = max(abs(a - b) / a for a, b in zip(first, second, strict=True))
    return far <= CURVE, f"largest relative difference {far:.2g} in {len(first)} epochs"


def _losses(folder: Path) -> list[float]:
    rows = csv.DictReader((folder / "metrics.csv").read_text().splitlines())
    return [float(row["train/loss"]) for row in rows if row["train/loss"]]


def _same_accuracy(folder: Path, device: torch.device) -> tuple[bool, str]:
    run = mf.load_run(folder, device=device)
    found, reported = run.evaluate().metrics["accuracy"], run.reported["test/accuracy"]
    return abs(found - reported) <= ONE_EXAMPLE, f"{found:.4f}, reported {reported:.4f}"


if __name__ == "__main__":
    main()
