"""What a run or a sweep writes is there whole, or as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.core.files import SWEEP, remove_leftovers, replacing, write_atomically

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


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_of_the_umask_and_an_old_one_keeps_its_own(tmp_path: Path, mask: int):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "new", "")
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o666 & ~mask
        (tmp_path / "new").chmod(0o640)
        write_atomically(tmp_path / "new", "again")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_leads_to_what_is_written(tmp_path: Path, exists: bool):
    target = tmp_path / "elsewhere" / "target"
    if exists:
        write_atomically(target, "old")
    (tmp_path / "link").symlink_to(target)
    write_atomically(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert target.read_text() == "new"
    assert os.listdir(tmp_path / "elsewhere") == ["target"]


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ForgeError, match="pipe` cannot be written: it is a named pipe, not a file"):
        write_atomically(tmp_path / "pipe", "")
    with pytest.raises(ForgeError, match="cannot be written: it is a folder, not a file"):
        write_atomically(tmp_path, "")
    assert os.listdir(tmp_path) == ["pipe"]


def test_only_what_a_killed_process_left_is_removed(tmp_path: Path):
    kept = (".env.template", "sub/.conf.12345678", ".a.modelforge-12345678/below", "b.modelforge-12345678")
    for name in kept:
        write_atomically(tmp_path / name, "")
    subprocess.run([sys.executable, "-c", KILL.format("os.replace"), tmp_path / "sub" / "status.json"], check=False)
    (left,) = (tmp_path / "sub").glob(".status.json.*")
    remove_leftovers(tmp_path)
    assert not left.exists()
    assert all((tmp_path / name).exists() for name in kept)


@pytest.mark.parametrize("key", ["hydra.run.dir", SWEEP])
def test_what_cannot_be_written_is_a_problem_of_its_folder(tmp_path: Path, key: str):
    (tmp_path / "file").write_text("")
    with pytest.raises(ForgeError) as caught:
        write_atomically(tmp_path / "file" / "below", "", key)
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("MF058", key)
    assert ("ckpt=" in problem.hint) == (key != SWEEP)
    assert os.listdir(tmp_path) == ["file"]
