"""What a stranger's config once did, at each door: `check` and all that composes, `train.py`, `check --untrusted`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra._internal.utils import create_config_search_path
from hydra.types import RunMode

from modelforge.config.compose import compose
from modelforge.config.loader import Door
from modelforge.config.scan import scanned
from modelforge.config.snapshot import snapshot
from modelforge.core.errors import ForgeError
from tests.config.strangers import SECRET, corpus

CASES = corpus()
FAULTS = {
    "a search path that is imported": ("searchpath_antigravity", "MF004"),
    "the environment in a value": ("environment_plain", "MF005"),
    "the environment in the name of an option": ("defaults_by_environment", "MF005"),
    "the environment in a key": ("environment_in_a_key", "MF005"),
    "a link to a file outside": ("_link_to_a_file", "MF004"),
    "a defaults list that doubles": ("_defaults_that_double", "MF060"),
    "a callback by its target": ("global_package", "MF006"),
    "a logging factory": ("logging_factory", "MF006"),
    "aliases that explode": ("alias_bomb", "MF060"),
    "interpolations that explode": ("interpolation_nested", "MF060"),
    "a tag of Python": ("tag_call", "MF002"),
    "a key that is written twice": ("keys_twice", "MF002"),
    "a huge number": ("hex", "MF062"),
}
"""What it was → the case, and the code that refuses it."""


def check_door(conf: Path) -> str:
    with pytest.raises(ForgeError) as caught:
        compose(conf)
    return str(caught.value)


def train_door(conf: Path) -> str:
    """As `@hydra.main` composes; it prints, and ends."""
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *texts, **_: printed.extend(map(str, texts)))
        with pytest.raises(SystemExit):
            Door(create_config_search_path(str(conf))).load_configuration("config", [], RunMode.RUN)
    return "\n".join(printed)


def untrusted_door(conf: Path) -> str:
    """Its first half: what this lets through is met by the second, in `tests/cli/test_untrusted.py`."""
    try:
        snapshot(conf, conf.parent / "copy" / "conf", "conf")
        problems = scanned(conf.parent / "copy" / "conf", "conf")
    except ForgeError as error:
        return str(error)
    return str(ForgeError(problems)) if problems else check_door(conf.parent / "copy" / "conf")


@pytest.mark.parametrize("door", [check_door, train_door, untrusted_door])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_door_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, door: Callable[[Path], str]):
    name, code = FAULTS[fault]
    monkeypatch.setenv("TOKEN", SECRET)
    monkeypatch.chdir(tmp_path)
    CASES[name].make(tmp_path)
    before = {*sys.modules}
    text = door(Path("conf") if door is check_door else tmp_path / "conf")
    assert f"error[{code}]" in text or (door is untrusted_door and "error[MF008]" in text)
    assert SECRET not in text
    assert "hunter2" not in text
    assert not {"antigravity", "webbrowser"} & ({*sys.modules} - before)


@pytest.mark.parametrize("door", [check_door, untrusted_door])
@pytest.mark.parametrize("letter", ["\u200b", "\u202e", "\u2066", "\x1b", "\u3164", "\ufeff", "\u2028"])
def test_no_door_prints_what_cannot_be_seen(tmp_path: Path, letter: str, door: Callable[[Path], str]):
    CASES["a_list"].make(tmp_path)
    escaped = letter.encode("unicode_escape").decode()
    (tmp_path / "conf/config.yaml").write_text(f'defaults: [{{model: "a{escaped}b"}}]\n', encoding="utf-8")
    text = door(tmp_path / "conf")
    assert letter not in text
    assert escaped in text
    assert os.linesep not in text.replace("\n", "")
