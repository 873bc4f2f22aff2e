"""`diff` of two revisions: a scan, then a process of its own; nothing of a stranger's commit does anything."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Literal

import pytest
from typer.testing import CliRunner

from modelforge.cli import comparing, diff, revisions
from modelforge.cli.app import app
from modelforge.cli.comparing import compare_sides
from modelforge.cli.revisions import Compared, compare_apart
from modelforge.core.errors import ForgeError
from modelforge.review.pair import Pair
from modelforge.review.sides import Side
from tests.config.strangers import CONFIG, MODEL, SECRET, corpus, project

CASES = corpus()
NOT_IN_GIT = ("_named_pipe", "_named_pipe_without_an_ending", "_socket")
CHEAP = [
    "searchpath_antigravity",
    "environment_plain",
    "bidi_in_a_comment",
    "global_package",
    "alias_bomb",
    "key_target",
]
"""What the scan refuses, without composition."""


def git(*words: str) -> None:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose first commit is good."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", SECRET)
    git("init", "-q", "-b", "main")
    project(tmp_path, {})
    git("add", "conf")
    git("commit", "-qm", "good")
    return tmp_path


def commit(files: dict[str, str]) -> None:
    for name, text in files.items():
        path = Path("conf", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    git("add", "-A", "conf")
    git("commit", "-qm", "other")


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["diff", *words], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def pair(folder: Path, kind: Literal["folder", "revision"] = "revision") -> Pair:
    """The good project, and the one in `folder`."""
    (folder / "good").mkdir()
    project(folder / "good", {})
    old, new = folder / "good/conf", folder / "conf"
    return Pair(Side("main", kind, old, "conf"), Side("HEAD", kind, new, "conf"))


def test_a_good_change(repository: Path):
    commit({"model/evil.yaml": MODEL.replace("2", "3"), "init/zeros.yaml": "scheme: zeros\n# comment\n"})
    status, text = run("HEAD~1", "HEAD", "--json")
    assert status == 0
    document = json.loads(text)
    assert not document["equal"]
    assert [change["cause"]["key"] for change in document["changes"] if change["cause"]] == [
        "model.layers.a.out_features"
    ]


def test_the_process_says_what_this_one_would(repository: Path, monkeypatch: pytest.MonkeyPatch):
    commit({"model/evil.yaml": MODEL.replace("2", "3"), "config.yaml": CONFIG.replace("seed: 0", "seed: 1")})
    apart = run("HEAD~1", "HEAD", "--json")
    monkeypatch.setattr(diff, "can_confine", lambda: False)
    assert run("HEAD~1", "HEAD", "--json") == apart


def test_weights_are_not_read(repository: Path):
    commit({"config.yaml": f"{CONFIG}weights: {{path: /etc/passwd}}\n"})
    status, text = run("HEAD~1", "HEAD")
    assert status == 0
    assert "/etc/passwd" in text
    assert "root:" not in text


@pytest.mark.parametrize("name", CHEAP)
def test_what_the_scan_refuses(tmp_path: Path, name: str):
    CASES[name].make(tmp_path)
    with pytest.raises(ForgeError) as caught:
        compare_sides(pair(tmp_path))
    problem = caught.value.problems[0]
    assert problem.code in CASES[name].codes
    assert problem.message.endswith("(in `HEAD`)")


@pytest.mark.parametrize("start", ["\ufeff", "%YAML 1.1\n---\n", "%TAG !e! tag:a,2000:\n---\n"])
def test_what_ends_the_scan_of_a_file_that_composition_reads_is_refused(tmp_path: Path, start: str):
    project(tmp_path, {"model/other.yaml": f"{start}a: x\u200by\n"})
    with pytest.raises(ForgeError) as caught:
        compare_sides(pair(tmp_path))
    (problem,) = caught.value.problems
    assert (problem.code, problem.place and problem.place.file) == ("MF002", "conf/model/other.yaml")


def test_only_revisions_are_scanned(tmp_path: Path):
    project(tmp_path, {"note.yaml": "a: {_target_: x}\n"})
    both = pair(tmp_path, "folder")
    assert compare_sides(both).document is not None


def test_a_file_that_is_no_yaml_is_part_of_the_review(tmp_path: Path):
    project(tmp_path, {"model/other.yaml": "a: [1\n"})
    document = compare_sides(pair(tmp_path)).document
    assert document is not None
    assert "conf/model/other.yaml" in document.model_dump_json()


@pytest.mark.parametrize(
    "said", [b"", b"{}", b"null", b'{"document": null, "problems": []}', b'{"document": {"old": 3}, "problems": []}',
             b'{"document": null, "problems": [{"code": "XX1", "path": "", "message": "m"}]}']
)  # fmt: skip
def test_an_answer_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes):
    project(tmp_path, {})
    monkeypatch.setattr(revisions, "ask", lambda *_: said)
    with pytest.raises(ForgeError, match="its answer cannot be read"):
        compare_apart(pair(tmp_path))


def test_a_refusal_comes_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    CASES["key_target"].make(tmp_path)
    monkeypatch.setattr(revisions, "ask", lambda module, question, *_: comparing._answered(question))
    with pytest.raises(ForgeError, match="_target_"):
        compare_apart(pair(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*CASES} - {*NOT_IN_GIT})[::12])
def test_a_strangers_commit(repository: Path, name: str):
    """In this process, on what git gives of a commit: what it says is coded, or a review that says what is broken."""
    subprocess.run(["rm", "-r", "conf"], check=True)
    (repository / "secret.yaml").unlink()
    CASES[name].make(repository)
    git("add", "-A", "-f", ".")
    git("commit", "-qm", "hostile", "--allow-empty")
    status, text = run("HEAD~1", "HEAD")
    assert SECRET not in text
    assert "hunter2" not in text
    assert status in (0, 2)
    assert status == 0 or "error[MF" in text


def test_an_answer_is_a_document_or_problems():
    assert Compared(None).problems == ()
