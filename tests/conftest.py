"""What every test gets: no Hydra state from the test before it, and one torch thread per xdist worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported, and inherited by child processes: the workers already occupy the cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


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


collect_ignore = ["fuzz/guided.py"]
"""Its package, atheris, is installed for a hunt only."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, help="runs that the tests of kills kill")
    parser.addoption("--kill-seed", type=int, help="draws the moments of a failure again; it is printed")
