"""Two processes on the CPU train as one does: the same initial values, the same curve, the same checkpoints."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from tests.train.runs import last

pytestmark = pytest.mark.slow

TWO = ("trainer.accelerator=cpu", "trainer.devices=2")
DDP, FSDP = ("trainer=ddp", *TWO), ("trainer=fsdp", *TWO)
RESNET = ("model=resnet_small", "data=digits", "init=kaiming_normal", "data.input.shape=[1,8,8]")
GPT = (
    *("experiment=gpt_nano", "data=text", "data.files=book.txt", "data.sample=0", "data.context=16"),
    *(
        "optimizer.no_decay=[bias,scale,embedding]",
        "diagnose=false",
        "model.args.dropout=0",
        "model.args.width=32",
        "model.args.depth=2",
    ),
)


def rows(folder: Path, name: str = "metrics.csv") -> list[dict[str, str]]:
    return [*csv.DictReader((folder / name).open())]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(last(folder), weights_only=True)["state_dict"]


def farthest(one: Path, other: Path) -> float:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in first)


def digests(folder: Path) -> list[str]:
    return [entry["digest"] for entry in json.loads((folder / "ledger.json").read_text())["parameters"]]
