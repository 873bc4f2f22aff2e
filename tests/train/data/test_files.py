"""Files and packages that a section of data names: found, refused, bounded."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

import modelforge as mf
from modelforge.train.data.read import look
from modelforge.train.data.source import Source
from tests.train.tables import csv, npz, told

pytestmark = pytest.mark.usefixtures("here")


def test_what_is_not_there_is_reported_before_a_run():
    look(csv())
    with pytest.raises(mf.ForgeError, match="there is no file"):
        look(csv(path="other.csv"))


@pytest.mark.parametrize(("kind", "package"), [("csv", "pyarrow"), ("parquet", "pyarrow"), ("hf", "datasets")])
def test_packages_that_are_not_there(here: Path, monkeypatch: pytest.MonkeyPatch, kind: str, package: str):
    monkeypatch.setitem(sys.modules, package, None)
    ((path, message, hint),) = told(csv(type=kind, path="." if kind == "hf" else "flowers.csv"))
    assert path == "data.type"
    assert message.endswith(f"needs `{package}`, which is not installed")
    assert hint == f"pip install 'modelforge[{'data' if kind == 'hf' else 'train'}]'"


def parquet(**fields) -> Source:
    return csv(type="parquet", path="flowers.parquet", **fields)


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_what_is_no_regular_file(here: Path, kind: str):
    os.mkfifo(here / "pipe")
    (here / "link").symlink_to("pipe")
    (here / "nowhere").symlink_to("none")
    due = "a file or folder" if kind == "parquet" else "a file"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        source = npz if kind == "npz" else csv
        for name, what in [
            ("pipe", "a named pipe"),
            ("link", "a named pipe"),
            ("socket", "a socket"),
            ("/dev/zero", "a device"),
        ]:
            expected = ("data.path", f"`{name}` is {what}, not {due}", "write `data.path=...`")
            assert told(source(type=kind, path=name)) == [expected]
    assert told(source(type=kind, path="nowhere"))[0][1:] == (
        f"there is no {due.removeprefix('a ')} `nowhere`",
        "it is a link that leads nowhere",
    )
    assert told(source(type=kind, path="~nobody-has-this-name/x"))[0][1] == (
        "`~nobody-has-this-name/x` begins with the home folder of a user that this machine does not know"
    )


def test_what_becomes_a_pipe_after_it_was_looked_at(here: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(here / "pipe")
    found = (here / "flowers.csv").stat()
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **options: found if path.name == "pipe" else real(path, **options))
    assert told(csv(path="pipe"))[0][1] == "`pipe` is a named pipe, not a file"


def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch):
    def refuse(path, flags):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    assert told(csv()) == [("data.path", "`flowers.csv` cannot be read: permission denied", "")]


def test_files_are_bounded_before_they_are_read(here: Path):
    with (here / "flowers.csv").open("wb") as file:
        file.truncate(2_000_000_000)
    assert told(csv()) == [
        (
            "data.max_bytes",
            "`flowers.csv` takes 2,000,000,000 bytes, but `max_bytes` is 1,073,741,824",
            "if memory holds them: `data.max_bytes=2000000000`",
        )
    ]
