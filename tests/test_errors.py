"""The text of every mistake: each file in configs/invalid has one fault, and beside it what a user is told.

After a change of wording, `python -m tests.test_errors` writes the texts anew; the diff is the review.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import modelforge as mf
from modelforge.config import compose
from modelforge.core.codes import CODES

INVALID = Path(__file__).parent / "configs" / "invalid"
FILES = sorted(INVALID.glob("*.yaml"))
NOT_HERE = {
    "MF001": "composition has its own tests",
    "MF002": "composition has its own tests",
    "MF003": "composition has its own tests",
    **dict.fromkeys(("MF004", "MF005", "MF006"), "composition has its own tests"),
    "MF028": "training has its own tests",
    "MF029": "modules that exist have their own tests",
    "MF050": "training has its own tests",
    "MF051": "training has its own tests",
    "MF052": "training has its own tests",
    "MF053": "training has its own tests",
    "MF058": "training has its own tests",
    "MF061": "what is too much has its own tests: tests/language/test_hostile.py",
    **{f"MF06{digit}": "verification has its own tests: tests/building" for digit in (5, 6, 7, 8, 9)},
    "MF070": "reviews have their own tests",
    "MF071": "sweeps have their own tests",
    "MF072": "the command line has its own tests",
    "MF080": "the command line has its own tests",
    "MF081": "the command line has its own tests",
    "MF082": "sweeps have their own tests",
    "MF094": "modules that exist have their own tests",
    "MF120": "calibration has its own tests",
    "MF121": "calibration has its own tests",
    "MF122": "calibration has its own tests",
    "MF123": "calibration has its own tests",
    **{f"MF13{digit}": "modules that exist have their own tests: tests/tracing" for digit in range(6)},
    "MW101": "a warning: see tests/planning",
    "MW102": "a warning: see tests/planning",
    "MW103": "a warning: see tests/building",
    "MW104": "a warning: see tests/planning",
    **{f"MW10{digit}": "a warning: see tests/planning" for digit in (5, 6, 7, 8, 9)},
    "MW110": "a warning: see tests/config",
    "MW113": "a warning: see tests/building",
    "MW201": "a warning: see tests/train",
    "MW202": "a warning: see tests/train",
    "MW203": "a warning: see tests/train",
    "MW204": "a warning: see tests/train",
    **dict.fromkeys(("MW210", "MW211"), "a warning: see tests/train"),
    "MW220": "a warning: see tests/config and tests/train",
}


def overrides(path: Path) -> list[str]:
    """Those that the second line of a file asks for."""
    asked = re.match(r".*\n# overrides: (.*)\n", path.read_text(encoding="utf-8"))
    return asked[1].split() if asked else []


class Code:
    """What runs when a pickle is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.getenv, ("HOME",)


def save_weights(folder: str) -> None:
    """The files that configs name. They are made anew: the repository holds no pickles."""
    torch.save({"head.weight": torch.ones(2, 4), "extra": Code()}, f"{folder}/code.pt")
    save_file({"head.weight": torch.ones(2, 4), "head.bias": torch.ones(2)}, f"{folder}/head.safetensors")


@cache
def failure(path: Path) -> mf.ForgeError:
    """What a config file is told, in a folder with files of weights."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        save_weights(folder)
        with pytest.raises(mf.ForgeError) as caught:
            mf.plan(mf.parse(compose(path.parent, overrides(path), path.stem, shown_as="conf")))
    return caught.value


def golden(path: Path) -> Path:
    return path.with_suffix(".out")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_user_is_told(path):
    assert f"{failure(path)}\n" == golden(path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_problem_has_a_code_a_place_and_data(path):
    for problem in failure(path).problems:
        assert problem.code in CODES
        assert problem.place is not None, "nowhere to look"
        assert problem.place.override or problem.place.source, "no source line"
        assert not problem.message.endswith(".")
        assert "Traceback" not in problem.message
        assert "typing." not in problem.message
        data = json.loads(json.dumps(problem.to_dict()))
        assert data["path"] == problem.path
        assert data["code"] == problem.code


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_one_fault_a_file(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith((".", "?"))
    several = path.stem.startswith("several") or path.stem in ("uncovered_twice", "from_override")
    assert several == (len(failure(path).problems) > 1)


def test_every_code_of_these_phases_is_pinned():
    found = {code for path in FILES for code in re.findall(r"\[(M[FW]\d+)\]", golden(path).read_text(encoding="utf-8"))}
    assert found == CODES.keys() - NOT_HERE.keys()


def test_every_other_code_is_named_by_a_test_of_its_own():
    tests = [path for path in Path(__file__).parent.rglob("*") if path.suffix in (".py", ".ambr", ".out")]
    said = {
        code for path in tests if path != Path(__file__) for code in re.findall(r"M[FW]\d+", path.read_text("utf-8"))
    }
    assert NOT_HERE.keys() <= said


def test_every_code_that_is_raised_is_explained_and_the_other_way_round():
    files = [path for path in Path(mf.__file__).parent.rglob("*.py") if path.name != "errors.py"]
    raised = {code for path in files for code in re.findall(r'"(M[FW]\d{3})"', path.read_text(encoding="utf-8"))}
    # What `ForgeError` says of itself.
    assert raised | {"MF061"} == CODES.keys()


def test_every_golden_text_belongs_to_a_config():
    assert {path.stem for path in INVALID.glob("*.out")} == {path.stem for path in FILES}


if __name__ == "__main__":
    for file in FILES:
        golden(file).write_text(f"{failure(file)}\n", encoding="utf-8")
