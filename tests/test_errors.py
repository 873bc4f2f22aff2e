"""The text of every mistake: each file in configs/invalid has one fault, and beside it the text that its user reads.

Mistakes that no model config makes alone are functions in `tests/situations.py`; their texts are in configs/situations.
After a change of wording, `python -m tests.test_errors` writes all texts again; the diff is the review.
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
from modelforge.config.compose import compose
from modelforge.core.codes import CODES
from tests.situations import SITUATIONS

INVALID = Path(__file__).parent / "configs" / "invalid"
FILES = sorted(INVALID.glob("*.yaml"))
GOLDENS = Path(__file__).parent / "configs" / "situations"


def overrides(path: Path) -> list[str]:
    """The overrides in the second line of a file."""
    asked = re.match(r".*\n# overrides: (.*)\n", path.read_text(encoding="utf-8"))
    return asked[1].split() if asked else []


class Code:
    """What runs when a pickle is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.getenv, ("HOME",)


def save_weights(folder: str) -> None:
    """Writes the files that configs name: the repository holds no pickles."""
    torch.save({"head.weight": torch.ones(2, 4), "extra": Code()}, f"{folder}/code.pt")
    save_file({"head.weight": torch.ones(2, 4), "head.bias": torch.ones(2)}, f"{folder}/head.safetensors")


@cache
def failure(path: Path) -> mf.ForgeError:
    """What is raised for a config file, in a folder with files of weights."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        save_weights(folder)
        with pytest.raises(mf.ForgeError) as caught:
            mf.plan(mf.parse(compose(path.parent, overrides(path), path.stem, shown_as="conf")))
    return caught.value


def golden(path: Path) -> Path:
    return path.with_suffix(".out")


def text_of(name: str) -> str:
    """The text of a situation, as it is everywhere: without the folder's name, the numbers of steps stay."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        return SITUATIONS[name](Path(folder)).replace(folder, "<folder>").rstrip() + "\n"


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_a_user_reads_in_a_situation(name):
    assert text_of(name) == (GOLDENS / f"{name}.out").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_user_reads(path):
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
        assert data["path"] == problem.key
        assert data["code"] == problem.code


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_one_fault_a_file(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith((".", "?"))
    several = path.stem.startswith("several") or path.stem in ("uncovered_twice", "from_override")
    assert several == (len(failure(path).problems) > 1)


def test_every_code_is_pinned_by_a_golden():
    pages = (Path(__file__).parents[1] / "docs" / "lint").glob("*.md")  # of lint rules, with what they print
    goldens = (path for path in Path(__file__).parent.rglob("*") if path.suffix in (".ambr", ".out"))
    texts = [path.read_text("utf-8") for path in (*goldens, *pages)]
    pinned = {code for text in texts for code in re.findall(r"(?:error|warning|note)\[(M[FW]\d+)\]", text)}
    assert pinned == CODES.keys()


def test_every_code_that_is_raised_is_explained_and_the_other_way_round():
    files = [path for path in Path(mf.__file__).parent.rglob("*.py") if path.name != "errors.py"]
    raised = {code for path in files for code in re.findall(r'"(M[FW]\d{3})"', path.read_text(encoding="utf-8"))}
    # What `ForgeError` says of itself.
    assert raised | {"MF061"} == CODES.keys()


def test_every_golden_text_belongs_to_a_config():
    assert {path.stem for path in INVALID.glob("*.out")} == {path.stem for path in FILES}
    assert {path.stem for path in GOLDENS.glob("*.out")} == SITUATIONS.keys()


if __name__ == "__main__":
    for file in FILES:
        golden(file).write_text(f"{failure(file)}\n", encoding="utf-8")
    GOLDENS.mkdir(exist_ok=True)
    for situation in SITUATIONS:
        (GOLDENS / f"{situation}.out").write_text(text_of(situation), encoding="utf-8")
