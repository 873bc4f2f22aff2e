"""A confined process: each thing that it tries is refused and noted, and what it may do it can."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelforge.core.confine import TooLong, can_confine, limited

pytestmark = pytest.mark.skipif(not can_confine(), reason="there is no `resource` on Windows")
ROOT = Path(__file__).parents[2]
LOAD = """
import json, os, sys
sys.path.insert(0, ROOT)
import socket, subprocess, shutil, tempfile, ctypes, mmap, webbrowser, urllib.request
from pathlib import Path
from modelforge.core.confine import confine
os.chdir(FOLDER)
attempts = confine([Path(FOLDER)], 64 * 2**20, 3)
try:
    exec(CODE)
except BaseException as error:
    found = type(error).__name__
else:
    found = "done"
os.write(1, json.dumps([found, [a.event for a in attempts]]).encode())
"""


def tried(folder: Path, code: str) -> tuple[str, list[str]]:
    """What code in a confined process ends with, and what was noted of it."""
    values = f"ROOT, FOLDER, CODE = {str(ROOT)!r}, {str(folder)!r}, {code!r}\n"
    done = subprocess.run([sys.executable, "-I", "-c", values + LOAD], capture_output=True, text=True, check=False)
    found, events = json.loads(done.stdout)
    return found, events


@pytest.mark.parametrize(
    ("code", "event"),
    [("open('/etc/passwd')", "open"), ("open('../secret')", "open"), ("open('link')", "open"),
     ("open('new', 'w')", "open"),
     ("open('own', 'a')", "open"), ("open('own', 'r+')", "open"), ("os.open('new', os.O_CREAT | os.O_WRONLY)", "open"),
     ("os.listdir('/')", "os.listdir"), ("[*os.scandir('..')]", "os.scandir"), ("os.chdir('/')", "os.chdir"),
     ("os.mkdir('new')", "os.mkdir"), ("os.remove('own')", "os.remove"), ("os.rename('own', 'new')", "os.rename"),
     ("os.symlink('/', 'new')", "os.symlink"), ("os.link('own', 'new')", "os.link"), ("os.chmod('own', 0)", "os.chmod"),
     ("os.truncate('own', 0)", "os.truncate"), ("shutil.rmtree('.')", "shutil.rmtree"),
     ("tempfile.mkstemp(dir='.')", "tempfile.mkstemp"), ("os.system('id')", "os.system"),
     ("subprocess.run(['id'])", "subprocess.Popen"), ("os.execv('/bin/id', ['id'])", "os.exec"),
     ("os.fork()", "os.fork"),
     ("os.posix_spawn('/bin/id', ['id'], {})", "os.posix_spawn"), ("os.kill(os.getppid(), 0)", "os.kill"),
     ("socket.socket()", "socket.__new__"), ("socket.getaddrinfo('localhost', 1)", "socket.getaddrinfo"),
     ("urllib.request.urlopen('http://localhost')", "urllib.Request"),
     ("os.putenv('A', 'b')", "os.putenv")],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, code: str, event: str):
    folder = tmp_path / "within"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "own").write_text("mine")
    (folder / "link").symlink_to("../secret")
    found, events = tried(folder, code)
    assert events[0] == event
    assert found == "PermissionError"
    assert sorted(path.name for path in folder.iterdir()) == ["link", "own"]
    assert (folder / "own").read_text() == "mine"


@pytest.mark.parametrize(
    "code",
    [
        "open('own').read()",
        "os.listdir('.')",
        "open(Path(sys.prefix, 'pyvenv.cfg'))",
        "import colorsys",
        "[0] * 1_000_000",
    ],
)
def test_what_it_may_do(tmp_path: Path, code: str):
    (tmp_path / "own").write_text("mine")
    assert tried(tmp_path, code) == ("done", [])


@pytest.mark.skipif(sys.platform != "linux", reason="macOS bounds no address space")
def test_memory_is_bounded(tmp_path: Path):
    assert tried(tmp_path, "bytearray(100 * 2**20)") == ("MemoryError", [])


def test_time_is_bounded(tmp_path: Path):
    with pytest.raises(json.JSONDecodeError):
        tried(tmp_path, "while True: pass")


def test_a_task_has_its_own_time():
    with limited(1):
        assert sum(range(10)) == 45
    with pytest.raises(TooLong):
        work()


@limited(1)
def work() -> None:
    while True:
        pass
