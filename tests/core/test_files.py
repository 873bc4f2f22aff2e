"""What a run or a sweep writes is there whole, or as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.core.files import SWEEP, replacing, write_atomically

KILL = """
import os, pathlib, sys, modelforge.core.files as files
{0} = lambda *_: os.kill(os.getpid(), 9)
files.write_atomically(pathlib.Path(sys.argv[1]), 'new' * 100_000)
"""


@pytest.mark.parametrize("place", ["os.fsync", "os.replace", "files.Path.unlink"])
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path, place: str):
    path = tmp_path / "status.json"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", KILL.format(place), path], check=False)
    if place.startswith("os."):
        assert (done.returncode, path.read_text()) == (-signal.SIGKILL, "old")
    else:
        assert (done.returncode, path.read_text()) == (0, "new" * 100_000)


def test_an_exception_leaves_the_old_file_and_no_other(tmp_path: Path):
    path = tmp_path / "a.json"
    write_atomically(path, "old")
    with pytest.raises(KeyError), replacing(path) as file:
        file.write({}["no such key"])
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.json", "old")]


@pytest.mark.parametrize("key", ["hydra.run.dir", SWEEP])
def test_what_cannot_be_written_is_a_problem_of_its_folder(tmp_path: Path, key: str):
    (tmp_path / "file").write_text("")
    with pytest.raises(ForgeError) as caught:
        write_atomically(tmp_path / "file" / "below", "", key)
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("MF058", key)
    assert ("ckpt=" in problem.hint) == (key != SWEEP)
    assert os.listdir(tmp_path) == ["file"]
