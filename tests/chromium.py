"""A headless Chromium, spoken to over a pipe: what a page asks for, complains about, and looks like."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here")
AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))
"""The accessibility checker: `npm install axe-core` in the folder of the tests, or its path in the environment."""


@dataclass
class Tab:
    """One page."""

    pipe: Any
    session: str
    requests: list[str] = field(default_factory=list)
    """Addresses that were asked for, but for data in the page itself."""
    complaints: list[str] = field(default_factory=list)
    """Messages of the console, and errors."""
    number: int = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers; events on the way are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        self.pipe.send(message | ({"sessionId": self.session} if self.session else {}))
        while True:
            answer = self.pipe.receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self._event(answer)

    def _event(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(given["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(given["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Page.javascriptDialogOpening":
                self.complaints.append(json.dumps(given))
            case _:
                pass

    def open(self, path: Path, width: int = 1280, *, dark: bool = False) -> None:
        """Loads a file and waits until it is there."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Page.navigate", url=path.as_uri())
        self.run("new Promise(done => document.readyState == 'complete' ? done() : addEventListener('load', done))")

    def run(self, script: str) -> Any:
        """The value of an expression in the page; of a promise what it leads to."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def picture(self) -> bytes:
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(found["data"])


def check_alone(tab: Tab, page: Path, width: int) -> None:
    """Fails if a page asks for anything, runs anything, complains, or is wider than the window."""
    tab.requests.clear()
    tab.open(page, width)
    assert {*tab.requests} == {page.as_uri()}
    assert tab.complaints == []
    assert tab.run("document.title") != "taken"
    assert tab.run("document.querySelectorAll('main img, script, iframe, link').length") == 0
    assert tab.run("document.documentElement.scrollWidth") <= width, "nothing is wider than the page"


def check_accessible(tab: Tab, page: Path, *, dark: bool) -> None:
    """Fails if axe finds a fault in a page; skips the test where there is no axe."""
    if not AXE.exists():
        assert "AXE_CORE" not in os.environ
        pytest.skip("axe-core is not here: `npm install axe-core`")
    tab.open(page, 1280, dark=dark)
    tab.run(AXE.read_text(encoding="utf-8"))
    found = tab.run("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found] == []


class _Pipe:
    """Messages to and from the browser, each ended by a zero byte."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write, self._rest = read, write, b""

    def send(self, message: dict[str, Any]) -> None:
        os.write(self._write, json.dumps(message).encode() + b"\0")

    def receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._read, 1 << 16)
            assert piece, "the browser has ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextmanager
def chromium(profile: Path) -> Generator[Tab]:
    """A browser with one empty page, for as long as the body lasts.

    Args:
        profile: An empty folder.
    """
    assert PROGRAM is not None
    to_browser, from_us = os.pipe()
    from_browser, to_us = os.pipe()

    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
    # The browser reads from 3 and writes to 4.
    command = f'exec "$0" "$@" 3<&{to_browser} 4>&{to_us}'
    arguments = ["bash", "-c", command, PROGRAM, *options, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
    process = subprocess.Popen(arguments, pass_fds=(to_browser, to_us), stderr=subprocess.DEVNULL)
    os.close(to_browser)
    os.close(to_us)
    try:
        whole = Tab(_Pipe(from_browser, from_us), "")
        target = whole.call("Target.createTarget", url="about:blank")["targetId"]
        session = whole.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        yield Tab(whole.pipe, session, number=whole.number)
    finally:
        process.terminate()
        process.wait(20)
        os.close(from_us)
        os.close(from_browser)
