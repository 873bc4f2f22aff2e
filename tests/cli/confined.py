"""A process like that of `check --untrusted` or of `diff`, for many folders: it imports once, and forks for each.

Run as `python -I confined.py PACKAGE check|diff`; each line of standard input is a folder that holds `conf`, and for
`diff` the old side, `old`; each line of output is what came of it. A hook of its own notes what each fork asks of the
system; it lets everything through.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module, util
from pathlib import Path
from typing import Any

NOTED = (
    "open",
    "import",
    "os.",
    "subprocess.",
    "socket.",
    "pty.",
    "shutil.",
    "webbrowser.",
    "urllib.",
    "ctypes.dlopen",
)
FREE = ("os.listdir", "os.scandir", "os.walk", "os.fwalk")
"""Reading a folder's names: `confine` bounds it."""


SERVERS = {"check": "modelforge.cli.untrusted", "diff": "modelforge.cli.comparing"}


def load(package: str, command: str) -> Any:
    sys.dont_write_bytecode = True
    where = [package]
    spec = util.spec_from_file_location("modelforge", f"{package}/__init__.py", submodule_search_locations=where)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["modelforge"] = loaded = util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return import_module(SERVERS[command])


def reply(server: Any, command: str) -> Any:
    """What the process answers about `conf` in the working folder."""
    if command == "check":
        question = server.Question(conf="conf", overrides=(), every=False)
        return server._REPORT.dump_json(server.examined(question))
    sides = [server.Side(name, "revision", Path(name), "conf") for name in ("old", "conf")]
    return server._answered(server.PAIR.dump_json(server.Pair(*sides)))


def fork(server: Any, command: str, folder: str) -> dict[str, Any]:
    """What `serve` does after its imports, in a fork."""
    reading, writing = os.pipe()
    start = time.monotonic()
    if (child := os.fork()) == 0:
        events: list[tuple[str, str]] = []
        os.chdir(folder)
        sys.addaudithook(lambda event, given: note(events, event, given))
        confine = sys.modules["modelforge.core.confine"].confine
        seconds = server.SECONDS + 2 if command == "check" else server.SECONDS_IN_ALL
        attempts = confine([Path.cwd()], server.MEMORY, seconds)
        events.clear()
        report = json.loads(reply(server, command))
        told = {"report": report, "attempts": [one.event for one in attempts], "events": events}
        with os.fdopen(writing, "w") as out:
            out.write(json.dumps(told))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    _, status, used = os.wait4(child, 0)
    facts = {"status": status, "seconds": used.ru_utime + used.ru_stime, "clock": time.monotonic() - start}
    return {**facts, "peak": used.ru_maxrss * 1024, **(json.loads(said) if said else {})}


def note(events: list[tuple[str, str]], event: str, given: tuple[Any, ...]) -> None:
    if event.startswith(NOTED) and event not in FREE and not (event == "open" and isinstance(given[0], int)):
        events.append((event, str(given[0])))


if __name__ == "__main__":
    package, asked = sys.argv[1:]
    module = load(package, asked)
    module.warm_up()
    for line in sys.stdin:
        print(json.dumps(fork(module, asked, line.rstrip("\n"))), flush=True)
