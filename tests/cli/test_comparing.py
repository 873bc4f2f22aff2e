"""Every hostile commit through the process that `diff` of two revisions asks: it answers, and does nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from modelforge.core.codes import CODES
from modelforge.core.errors import ForgeError
from modelforge.review.revision import extracted
from tests.cli.test_untrusted import asked, assert_harmless
from tests.config.strangers import corpus, project

CASES = corpus()
NO_FILE = ("_named_pipe", "_named_pipe_without_an_ending", "_socket")
"""What git does not keep."""
SOME = 8
"""Of so many cases one is tried where not all are."""
NAMES = sorted({*CASES} - {*NO_FILE})
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.excludesFile=/dev/null")


def committed(folder: Path, copy: Path) -> set[str]:
    """Copies what git has of `conf` in a folder; the codes that it is refused with."""
    for words in (("init", "-q"), ("add", "-A", "-f", "."), ("commit", "-qm", "hostile")):
        subprocess.run([*GIT, *words], cwd=folder, check=True, capture_output=True)
    here = Path.cwd()
    os.chdir(folder)
    try:
        with extracted("HEAD", Path("conf")) as copied:
            shutil.copytree(copied.folder, copy)
    except ForgeError as error:
        return {problem.code for problem in error.problems}
    finally:
        os.chdir(here)
    return set()


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, dict[str, Any] | set[str]]:
    """Every case → what came of it in a confined process, or the codes that its commit was refused with."""
    root = tmp_path_factory.mktemp("commits")
    (root / "good").mkdir()
    project(root / "good", {})
    found: dict[str, dict[str, Any] | set[str]] = {}
    copies: dict[str, Path] = {}
    wanted = {item.callspec.params["name"] for item in request.session.items if item.path == request.path}
    for name in sorted(wanted):
        folder, copy = root / name, root / "copies" / name
        folder.mkdir()
        CASES[name].make(folder)
        if codes := committed(folder, copy / "conf"):
            found[name] = codes
            continue
        shutil.copytree(root / "good/conf", copy / "old")
        copies[name] = copy
    return found | asked("diff", copies, root / "copies")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if index % SOME == 0 else pytest.mark.thorough) for index, name in enumerate(NAMES)],
)
def test_a_strangers_commit_is_answered_and_does_nothing(answers, name: str):
    answer = answers[name]
    if isinstance(answer, set):
        assert answer <= {*CODES}
        return
    assert answer["status"] == 0, answer
    assert_harmless(answer)
    report = answer["report"]
    assert report["document"] or report["problems"]
    assert {problem["code"] for problem in report["problems"]} <= {*CODES}
