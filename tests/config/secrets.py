"""What a config must not reach: a package to import, a secret in the environment, a file beside the folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError

SECRET = "s3cr3t-of-this-machine"


@pytest.fixture(autouse=True)
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A package that leaves a trace when it is imported, a secret in the environment, a file beside the folder."""
    (tmp_path / "evilpkg").mkdir()
    (tmp_path / "evilpkg" / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TOKEN", SECRET)
    (tmp_path / "secret.yaml").write_text("password: hunter2\n")
    yield
    assert not (tmp_path / "ran").exists()
    assert "evilpkg" not in sys.modules


def refused(call: Callable[[], object]) -> str:
    """The codes and the text of what is refused, in which nothing of the machine stands."""
    with pytest.raises(ForgeError) as caught:
        call()
    text = str(caught.value)
    assert SECRET not in text
    assert "hunter2" not in text
    return text
