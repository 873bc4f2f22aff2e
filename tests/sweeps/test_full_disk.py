"""A disk that is full in the middle of a sweep: a clear stop, no finished job lost, and all of them after more room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelforge.runs.jobs import read_sweep_file
from modelforge.runs.status import read_state
from tests.sweeps.projects import BRIEF
from tests.train.runs import assert_equal

WORDS = ("-m", *(word for word in BRIEF if word != "logger=none"), "logger=csv", "seed=0,1,2,3")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A small file system, of a size that can be changed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted: list[Path] = []

    def resize(num_bytes: int) -> Path:
        options = f"{'remount,' if mounted else ''}size={num_bytes}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted: {done.stderr.decode().strip()}")
        mounted.append(folder)
        return folder

    if os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root mounts file systems")
    yield resize
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_loses_no_finished_job(command, disk, tmp_path: Path, capfd):
    whole = tmp_path / "whole"
    assert command(*WORDS, f"hydra.sweep.dir={whole}") == 0
    jobs = read_sweep_file(whole).jobs
    size = sum(path.stat().st_size for path in (whole / jobs[0].folder).rglob("*"))
    root = disk(int(2.5 * size)) / "sweep"
    capfd.readouterr()
    assert command(*WORDS, f"hydra.sweep.dir={root}") == 1
    out = "".join(capfd.readouterr())
    assert "error[MF058]" in out
    assert "no space left on device" in out
    assert "Traceback" not in out
    states = [read_state(root / job.folder) for job in jobs]
    assert states[:2] == ["finished", "finished"]
    assert "finished" not in states[2:]
    before = (root / jobs[0].folder / "status.json").stat().st_mtime_ns
    disk(int(8 * size))
    assert command(f"sweep.resume={root}") == 0
    assert (root / jobs[0].folder / "status.json").stat().st_mtime_ns == before
    for job in jobs:
        assert_equal(whole / job.folder, root / job.folder)
