"""The bounded process: what it has, and what comes of one that crashes, hangs or says too much."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from modelforge.core import child
from modelforge.core.child import ask, garbled, scratch
from modelforge.core.errors import ForgeError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no `resource` on Windows")


def answered(monkeypatch: pytest.MonkeyPatch, code: str, question: bytes = b"", seconds: float = 60) -> bytes:
    """What a process that runs `code` answers."""
    monkeypatch.setattr(child, "BOOT", f"print('[]', flush=True)\n{code}")
    with scratch() as folder:
        return ask("none", question, folder, seconds)


def test_it_has_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)  # an editable install has its own folder on the path
    monkeypatch.setenv("TOKEN", "secret")
    code = """import json, os, sys
told = {"path": sys.path, "cwd": os.getcwd(), "environment": [*os.environ],
"flags": [sys.flags.isolated, sys.flags.utf8_mode],
"files": os.listdir(), "session": os.getsid(0) == os.getpid(), "bytecode": sys.dont_write_bytecode}
print(json.dumps(told))"""
    told = json.loads(answered(monkeypatch, code))
    assert os.getcwd() not in told["path"]
    assert "" not in told["path"]
    assert os.path.basename(told["cwd"]).startswith("modelforge-")
    assert set(told["environment"]) <= {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"}
    assert told["files"] == []
    assert told["flags"] == [1, 1]
    assert told["session"]
    assert told["bytecode"]
    assert not Path(told["cwd"]).exists()


def test_a_long_question_and_a_long_answer(monkeypatch: pytest.MonkeyPatch):
    question = b"x" * 3_000_000
    assert answered(monkeypatch, "import sys; sys.stdout.write(sys.stdin.read())", question) == question


def test_a_question_that_is_not_read(monkeypatch: pytest.MonkeyPatch):
    assert answered(monkeypatch, "print(1)", b"x" * 3_000_000) == b"1\n"


@pytest.mark.parametrize(
    ("code", "how"),
    [("import sys; sys.exit(3)", "it ended with status 3"), ("1 / 0", "it ended with status 1"),
     ("import os; os.abort()", f"it was ended by signal {signal.SIGABRT:d}"),
     ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "it took too much time of the processor"),
     ("print('x' * 17_000_000)", "answered more than 16 MiB"), ("print('nothing')", "its answer cannot be read"),
     ("", "its answer cannot be read"), ("print('{}')", "its answer cannot be read")],
)  # fmt: skip
def test_a_process_that_ends_badly(monkeypatch: pytest.MonkeyPatch, code: str, how: str):
    monkeypatch.setattr(child, "BOOT", code)
    with pytest.raises(ForgeError, match=how) as caught, scratch() as folder:
        ask("none", b"", folder, 60)
    assert [problem.code for problem in caught.value.problems] == ["MF009"]


@pytest.mark.parametrize("code", ["while True: pass", "import os; os.close(1); os.close(0)\nwhile True: pass",
    "import os\nif not os.fork():\n  while True: pass\nwhile True: pass"])  # fmt: skip
def test_a_process_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch, code: str):
    start = time.monotonic()
    with pytest.raises(ForgeError, match="it took more than 1 s"):
        answered(monkeypatch, code, seconds=1)
    assert time.monotonic() - start < 30


def test_what_it_started_is_killed_with_it(monkeypatch: pytest.MonkeyPatch):
    code = "import os, time\npid = os.fork()\nprint(pid or '', flush=True)\nif not pid:\n  os.close(1); time.sleep(60)"
    number = int(answered(monkeypatch, code).split()[0])
    state = ""
    for _ in range(300):
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.1)
    raise AssertionError(state)


def test_a_system_that_bounds_nothing(monkeypatch: pytest.MonkeyPatch, fails):
    monkeypatch.setattr(child, "can_confine", lambda: False)
    fails(
        lambda: answered(monkeypatch, "print(1)"),
        """
        error[MF009]: this system cannot confine a process
           = help: use Linux, macOS or a container; on Windows, WSL
        """,
    )


def test_what_was_tried_is_said(monkeypatch: pytest.MonkeyPatch, fails):
    monkeypatch.setattr(child, "BOOT", """print('[{"event": "os.system", "what": "id"}]')""")
    with scratch() as folder:
        fails(
            lambda: ask("none", b"", folder, 60),
            """
            error[MF009]: reading these configs tried to do what no config may: os.system id
               = help: it was refused; do not use these configs
            """,
        )


def test_an_answer_that_cannot_be_read():
    assert garbled().problems[0].code == "MF009"
