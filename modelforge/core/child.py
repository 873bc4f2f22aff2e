"""ask: a question about a stranger's config → the answer of a process of its own, which is bounded and has nothing.

The process is `python -I`: an empty environment, no folder of the user's on its search path, a working folder that is
empty but for copies. It gets its question on standard input and answers on standard output; all else that it prints is
lost. It confines itself (`core.confine`) before it looks at a config, and is killed with all that it may have started.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from modelforge.core.confine import Attempt, can_confine, confine
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.lazy_torch import import_compiler_late
from modelforge.core.limits import MAX_ANSWER_BYTES

BOOT = """\
import gc, os, sys
gc.disable()
os.environ["OMP_NUM_THREADS"] = "1"
sys.dont_write_bytecode = True
from importlib import import_module, util
package, module = sys.argv[1:]
spec = util.spec_from_file_location("modelforge", package + "/__init__.py", submodule_search_locations=[package])
sys.modules["modelforge"] = loaded = util.module_from_spec(spec)
spec.loader.exec_module(loaded)
import_module(module).serve()
"""
"""Imports this very modelforge, from wherever it lies: `-I` leaves out the working folder and `PYTHONPATH`."""

_ATTEMPTS = TypeAdapter(list[Attempt])
"""The first line of an answer: what the process tried and may not do."""
_PACKAGE = Path(__file__).parents[1]


@contextmanager
def scratch() -> Generator[Path]:
    """An empty folder for the process to work in, gone when the context ends."""
    with tempfile.TemporaryDirectory(prefix="modelforge-") as folder:
        yield Path(folder).resolve()


def ask(module: str, question: bytes, folder: Path, seconds: float) -> bytes:
    """What `module.serve` answers in a process of its own.

    Args:
        module: A module of modelforge whose function `serve` calls the one here.
        question: What to ask; of any size.
        folder: The process's working folder.
        seconds: How long it may take, by the clock.

    Raises:
        ForgeError: this system cannot confine a process, or it ended without an answer, or too late, or with too much,
            or it tried what it may not.
    """
    if not can_confine():
        hint = "use Linux, macOS or a container; on Windows, WSL"
        raise ForgeError([Problem("MF009", "", "this system cannot confine a process", hint)])
    command = [sys.executable, "-I", "-B", "-X", "utf8", "-c", BOOT, str(_PACKAGE), module]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={},
        start_new_session=True,
    ) as process:
        try:
            answer = _exchange(process, question, time.monotonic() + seconds)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if answer is None:
        raise failed(f"it took more than {seconds:.0f} s, or answered more than {MAX_ANSWER_BYTES >> 20} MiB")
    if process.returncode and not answer:
        raise failed(_end(process.returncode))
    noted, _, rest = answer.partition(b"\n")
    try:
        attempts = _ATTEMPTS.validate_json(noted)
    except ValidationError:
        raise garbled() from None
    if attempts:
        raise ForgeError(map(_tried, attempts))
    return rest


def serve(
    warm_up: Callable[[], None], answer: Callable[[bytes], bytes], memory: int, seconds: Callable[[bytes], int]
) -> None:
    """What the process does: reads its question, confines itself, and answers.

    Args:
        warm_up: Imports all that an answer takes, while that may be done.
        answer: Question → answer.
        memory: Bytes that an answer may take, on top of what the packages take.
        seconds: Question → time of the processor that its answer may take.
    """
    import_compiler_late()
    question = sys.stdin.buffer.read()
    pipe = os.dup(1)
    os.dup2(2, 1)  # what packages print is not an answer
    warm_up()
    gc.freeze()  # what is imported stays
    gc.enable()
    attempts = confine([Path.cwd()], memory, seconds(question))
    said = answer(question)
    with os.fdopen(pipe, "wb") as out:
        out.write(_ATTEMPTS.dump_json(attempts) + b"\n" + said)
    os._exit(0)  # taking all apart that was imported takes as long as a comparison


def garbled() -> ForgeError:
    """The problem of an answer that cannot be read."""
    return failed("its answer cannot be read")


def _exchange(process: subprocess.Popen[bytes], question: bytes, deadline: float) -> bytes | None:
    """Gives the question and collects the answer; None where that takes too long or too much."""
    assert process.stdin is not None
    assert process.stdout is not None
    answer = bytearray()
    given = 0
    for pipe in (process.stdin, process.stdout):
        os.set_blocking(pipe.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdin, selectors.EVENT_WRITE)
        ready.register(process.stdout, selectors.EVENT_READ)
        while len(answer) <= MAX_ANSWER_BYTES and (left := deadline - time.monotonic()) > 0:
            for key, _ in ready.select(left):
                if key.fileobj is process.stdin:
                    with suppress(BrokenPipeError):
                        given += os.write(key.fd, question[given : given + 65_536])
                        if given < len(question):
                            continue
                    ready.unregister(process.stdin)
                    process.stdin.close()
                elif chunk := os.read(key.fd, 65_536):
                    answer += chunk
                else:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(max(deadline - time.monotonic(), 0))
                        return bytes(answer)
                    return None
    return None


def _end(status: int) -> str:
    """How a process ended, in words."""
    if status == -signal.SIGXCPU or status == -signal.SIGKILL:
        return "it took too much time of the processor, or too much memory"
    return f"it was ended by signal {-status}" if status < 0 else f"it ended with status {status}"


def failed(how: str) -> ForgeError:
    """The problem of a process that gave no answer."""
    message = f"the process that reads these configs gave no answer: {how}"
    hint = "check fewer at once, such as `model=NAME`; your own configs need no `--untrusted`"
    return ForgeError([Problem("MF009", "", message, hint)])


def _tried(attempt: Attempt) -> Problem:
    message = f"reading these configs tried to do what no config may: {attempt.event} {attempt.what}"
    return Problem("MF009", "", message, "it was refused; do not use these configs")
