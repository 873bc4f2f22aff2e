"""The answer of a sweep in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.results import collect
from modelforge.results.grouping import group
from modelforge.results.significance import contrasts
from modelforge.results.words import headline
from tests.results.sweeps import swept
from tests.runs.jobs import job

NEAR = {("a", "1", 0): 0.90, ("a", "1", 1): 0.94, ("b", "1", 0): 0.91, ("b", "1", 1): 0.92}
CLEAR = {("a", "1", 0): 0.90, ("a", "1", 1): 0.91, ("b", "1", 0): 0.5, ("b", "1", 1): 0.51}
ALONE = {("a", "1", 0): 0.90, ("b", "1", 0): 0.5}
UNEVEN = {**CLEAR, ("b", "1", 1): None, ("c", "1", 0): 0.95}
HALVES = {("a", "1", 0): 0.92, ("b", "1", 0): 0.92, ("c", "1", 0): 0.5, ("c", "1", 1): 0.51, ("c", "1", 2): None}
LOST = {("a", "1", 0): None, ("b", "1", 0): None}


@pytest.mark.parametrize(
    ("results", "end"),
    [
        (NEAR, "over 2 repetitions (seed). 1 other is within the spread of it: no difference is established."),
        (CLEAR, "The other one is worse by more than the spread over repetitions; `init=b` follows with 0.505."),
        (ALONE, "0.9. `init=b` follows with 0.5; one job each does not show the spread over seeds."),
        (UNEVEN, "1 other is worse by more than the spread over repetitions; `init=b` follows with 0.5. "
            "1 other would be better, but of fewer jobs: `init=c` with 0.95."),
        (HALVES, "1 other is worse by more than the spread over repetitions; `init=b` follows with 0.92. "
            "Of 1 other there is one job each, as of the best: no spread to compare them by."),
        (LOST, "No job has a result."),
    ],
)  # fmt: skip
def test_the_sentence(tmp_path: Path, results, end: str):
    grouped = group(collect(swept(tmp_path, results)))
    assert headline(grouped, contrasts(grouped)).endswith(end)


def test_of_seeds_alone(tmp_path: Path):
    for seed in range(3):
        job(tmp_path / str(seed), overrides=[f"seed={seed}"], metrics={"val/accuracy": 0.5 + 0.1 * seed})
    grouped = group(collect(tmp_path))
    assert headline(grouped, contrasts(grouped)) == "val/accuracy is 0.6 ± 0.1 over 3 repetitions (seed)."


def test_overrides_have_all_digits(tmp_path: Path):
    for index, gain in enumerate(("0.99583998250", "0.99584112250")):
        job(tmp_path / str(index), overrides=[f"init.gain={gain}"], metrics={"val/accuracy": 0.9 - 0.1 * index})
    grouped = group(collect(tmp_path))
    said = headline(grouped, contrasts(grouped))
    assert said.startswith("`init.gain=0.99583998250` gives the best val/accuracy"), "copied, it is another job"
    assert "`init.gain=0.99584112250` follows" in said
