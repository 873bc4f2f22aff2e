"""What every test gets: no Hydra state from the test before it, and one torch thread per xdist worker."""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import settings

from modelforge.core.errors import ForgeError

TRAIN = Path(__file__).parents[1] / "train.py"

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported, and inherited by child processes: the workers already occupy the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("modelforge", deadline=None)  # a busy machine is no fault of an example
settings.load_profile("modelforge")

# Hundreds of child processes import modelforge; where they may keep no bytecode, each compiles it again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# In the background of a shell, or under `nohup`, these are ignored, and would be by the processes that tests start.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("thorough"):
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(autouse=True)
def _clear_hydra() -> Iterator[None]:
    """Hydra keeps one global state per process; only a test that imported Hydra can have changed it."""
    yield
    if "hydra.core.global_hydra" in sys.modules:
        from hydra.core.global_hydra import GlobalHydra

        GlobalHydra.instance().clear()


@pytest.fixture(autouse=True)
def _forget_plugins() -> Iterator[None]:
    """The plugins that a test imports are no other test's: hints depend on whether a project has any."""
    yield
    if (plugins := sys.modules.get("modelforge.core.plugins")) is not None:
        plugins._imported.clear()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs train.py in this process, which has paid for its imports; gives the exit code."""

    def command(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", [str(TRAIN), *arguments])
        try:
            runpy.run_path(str(TRAIN), run_name="__main__")
        except SystemExit as exit:
            return 0 if exit.code is None else int(exit.code)
        return 0

    return command


@pytest.fixture
def fails() -> Callable[[Callable[[], object], str], None]:
    """Asserts that a call raises a `ForgeError` with exactly this text."""

    def check(call: Callable[[], object], text: str) -> None:
        with pytest.raises(ForgeError) as caught:
            call()
        assert str(caught.value) == dedent(text).strip("\n")

    return check


collect_ignore = ["fuzz/guided.py"]
"""Its package, atheris, is installed for a hunt only."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, help="runs that the tests of kills kill")
    parser.addoption("--kill-seed", type=int, help="draws the moments of a failure again; it is printed")
