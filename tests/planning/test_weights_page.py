"""docs/weights.md shows a file as it is, knows every file of conf/weights, and what it prints was printed."""

from __future__ import annotations

import re
from contextlib import chdir
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import modelforge as mf

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")


def test_the_file_that_is_shown():
    ((name, text),) = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, flags=re.DOTALL)
    assert text in (ROOT / name).read_text(encoding="utf-8")


def test_every_file_of_the_group_is_named():
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    assert {path.stem for path in (ROOT / "conf" / "weights").glob("*.yaml")} <= {*re.findall(r"`(\w+)`", table)}


def test_the_problem_that_is_shown(tmp_path):
    large = mf.plan(mf.load(ROOT / "conf", ["model=resnet", "data.num_outputs=1000"]))
    names = {item.path: item.shape for item in large.parameters}
    save_file({name: torch.zeros(shape) for name, shape in names.items()}, tmp_path / "resnet18.safetensors")
    small = mf.load(ROOT / "conf", ["model=resnet", "data.num_outputs=3"])
    spec = mf.parse(small.to_dict(), weights={"path": "resnet18.safetensors"})
    with chdir(tmp_path), pytest.raises(mf.ForgeError) as caught:
        mf.plan(spec)
    assert caught.value.problems[0].message in PAGE
    assert caught.value.problems[0].hint in PAGE
