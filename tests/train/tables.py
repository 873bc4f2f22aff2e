"""Tables for tests: the sources of a small one, and what is told of one that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modelforge as mf
from modelforge.train.data.read import read
from modelforge.train.data.registry import parse_source
from modelforge.train.data.source import Source
from modelforge.train.data.sources.digits import Digits
from modelforge.train.data.sources.generated import Reverse

ROWS = "".join(f"{row / 2},{row % 7},{'abc'[row % 3]},{row * 3}\n" for row in range(60))


FLOWERS = "width,height,kind,price\n" + ROWS


def csv(**fields) -> Source:
    raw = {"type": "csv", "path": "flowers.csv", "target": "kind", "task": "classification", "num_features": 3}
    raw |= {"num_outputs": 3, **fields}
    return parse_source({**raw, "input": {"shape": [raw["num_features"]]}})


def npz(**fields) -> Source:
    raw = {"type": "npz", "path": "arrays.npz", "task": "classification", "num_outputs": 3, "input": {"shape": [2, 4]}}
    return parse_source({**raw, **fields})


def told(source: Source) -> list[tuple[str, str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        read(source)
    assert {problem.code for problem in caught.value.problems} == {"MF053"}
    return [(problem.key, problem.message, problem.hint) for problem in caught.value.problems]


def write(here: Path, text: str | bytes) -> None:
    (here / "flowers.csv").write_bytes(text if isinstance(text, bytes) else text.encode())


TWO = {"num_features": 1, "num_outputs": 2}


PAIRS = "".join(f"{row},{'ab'[row % 2]}\n" for row in range(60))


X, Y = np.arange(480.0).reshape(60, 2, 4), np.arange(60) % 3


def digits(**fields) -> Digits:
    raw = {"type": "digits", "task": "classification", "num_classes": 10, "num_outputs": 10}
    return Digits.model_validate({**raw, "input": {"shape": [1, 8, 8]}, **fields})


def reverse(**fields) -> Reverse:
    raw = {"type": "reverse", "task": "classification", "num_outputs": 5, "vocab_size": 5, "num_steps": 6}
    tokens = {"shape": [6], "dtype": "int64"}
    return Reverse.model_validate({**raw, "num_train": 50, "input": {"source": tokens, "target": tokens}, **fields})


COLUMNS = {"a": [1.5, None, 2.0] * 10, "b": list(range(30)), "kind": ["x", "y", "z"] * 10}
