"""`check --untrusted`: what strangers' configs get, and that nothing of them does anything."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import modelforge
from modelforge.cli.app import app
from modelforge.cli.untrusted import MEMORY, SECONDS, Question, check_untrusted, examined, folder_of
from modelforge.config.snapshot import snapshot
from modelforge.core import child
from modelforge.core.errors import ForgeError
from tests.config.strangers import CONFIG, HARMLESS, MODEL, SECRET, corpus, project

CASES = corpus()
PACKAGE = Path(modelforge.__file__).parent


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["check", "--untrusted", *arguments], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def codes_of(report: dict[str, Any]) -> set[str]:
    every = [*report["problems"], *(problem for finding in report["findings"] for problem in finding["problems"])]
    return {problem["code"] for problem in every}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any] | set[str]]:
    """Every case → what came of it in a confined process, or the codes that its folder was refused with."""
    root = tmp_path_factory.mktemp("strangers")
    found: dict[str, dict[str, Any] | set[str]] = {}
    copies: dict[str, Path] = {}
    for name in (*CASES, *HARMLESS):
        folder, copy = root / name, root / "copies" / name
        folder.mkdir()
        if name in CASES:
            CASES[name].make(folder)
        else:
            project(folder, HARMLESS[name])
        try:
            snapshot(folder / "conf", copy / "conf", "conf")
            copies[name] = copy
        except ForgeError as error:
            found[name] = {problem.code for problem in error.problems}
    return found | asked("check", copies, root / "copies")


def asked(what: str, copies: Mapping[str, Path], folder: Path) -> dict[str, Any]:
    """What a confined process answers of each copy; it changes nothing in their folder, and tells no secret."""
    command = [sys.executable, "-I", str(Path(__file__).with_name("confined.py")), str(PACKAGE), what]
    lines = "".join(f"{copy}\n" for copy in copies.values())
    before = contents(folder)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, env={"TOKEN": SECRET}, check=False)
    assert not done.stderr
    assert SECRET not in done.stdout
    assert "hunter2" not in done.stdout
    assert contents(folder) == before
    return dict(zip(copies, map(json.loads, done.stdout.splitlines()), strict=True))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_there_are_enough_cases():
    assert len(CASES) >= 180


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_strangers_config_is_refused_and_does_nothing(answers, name: str):
    answer = answers[name]
    if isinstance(answer, set):
        assert answer & CASES[name].codes
        return
    assert answer["status"] == 0, answer
    assert codes_of(answer["report"]) & CASES[name].codes
    assert_harmless(answer)


@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS)
def test_a_near_miss_is_planned(answers, name: str):
    assert codes_of(answers[name]["report"]) == set()
    assert_harmless(answers[name])


def is_own(file: str) -> bool:
    """Whether a file lies in the copy, is one of Hydra's own configs, or source that says what an argument means."""
    source = file.endswith(".py") and file.startswith((sys.prefix, str(PACKAGE)))
    return Path(file).parts[0] in ("conf", "old") or "/copies/" in file or "/hydra/conf/hydra/" in file or source


def assert_harmless(answer: dict[str, Any]) -> None:
    assert answer["attempts"] == []
    assert [event for event, what in answer["events"] if event != "open" or not is_own(what)] == []
    assert answer["seconds"] < 10
    assert answer["peak"] < 2**30


def test_a_good_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project(tmp_path, {})
    monkeypatch.chdir(tmp_path)
    assert run("conf", "seed=1") == (0, "ok: 10 parameters in 2 tensors, each with one rule\n")


def test_weights_are_named_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project(tmp_path, {"config.yaml": f"{CONFIG}weights: {{path: /etc/passwd, skip: [a.bias]}}\n"})
    monkeypatch.chdir(tmp_path)
    status, text = run("seed=1")
    assert status == 0
    assert "1 parameter of `/etc/passwd`, which was not read" in text


def test_every_model_and_init_is_checked(tmp_path: Path):
    project(tmp_path, {"model/other.yaml": "input: {shape: [4]}\nlayers:\n  a: {type: Liner}\n"})
    status, text = run(str(tmp_path / "conf"))
    assert status == 1
    assert "error[MF010]: unknown layer type `Liner`" in text
    assert "--> conf/model/other.yaml:3:13" in text


def test_the_environment_and_the_plugins_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project(tmp_path, {})
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    (tmp_path / "pyproject.toml").write_text('[tool.modelforge]\nplugins = ["mine"]\n')
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", SECRET)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    status, text = run("seed=${oc.env:TOKEN}")
    assert status == 1
    assert "MF003" in text
    assert SECRET not in text
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("words", "folder", "others"),
    [([], None, []), (["conf"], "conf", []), (["a/b", "model=x"], "a/b", ["model=x"]), (["model=x"], None, ["model=x"]),
     (["~a"], None, ["~a"]), (["+a=1", "conf"], None, ["+a=1", "conf"])],
)  # fmt: skip
def test_the_folder_may_stand_first(words: list[str], folder: str | None, others: list[str]):
    assert folder_of(words) == (folder and Path(folder), others)


def test_a_folder_that_is_not_there():
    assert "there is no folder `nowhere`" in run("nowhere")[1]


def test_the_size_of_a_model_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project(tmp_path, {"model/evil.yaml": MODEL.replace("4", "1000000").replace("2", "1000000")})
    monkeypatch.chdir(tmp_path)
    (finding,) = examined(Question(conf="conf", overrides=(), every=False)).findings
    (problem,) = finding.problems
    assert (
        problem.message
        == "the model has 1,000,001,000,000 parameters, but an untrusted one has at most 500,000,000,000"
    )
    assert problem.place is not None
    assert problem.place.file == "conf/model/evil.yaml"


@pytest.mark.parametrize("said", [b"", b"{}", b"null", b'{"findings": 3}', b"[" * 10_000, b'{"problems": []}',
    b'{"problems": [{"code": "XX1", "path": "", "message": "m"}]}', b"\xff"])  # fmt: skip
def test_an_answer_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes):
    project(tmp_path, {})
    monkeypatch.setattr("modelforge.cli.untrusted.ask", lambda *_: said)
    with pytest.raises(ForgeError, match="its answer cannot be read"):
        check_untrusted(tmp_path / "conf", (), every=False)


def test_a_report_in_another_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of what was found, and of what the scan refuses."""
    project(tmp_path, {"model/evil.yaml": MODEL.replace("Linear", "Liner")})
    (tmp_path / "refused").mkdir()
    project(tmp_path / "refused", {"model/evil.yaml": "a: !!python/name:os.system\n"})
    monkeypatch.chdir(tmp_path)
    status, said = run("conf", "--output", "report.sarif")
    log = json.loads(Path("report.sarif").read_text(encoding="utf-8"))
    assert (status, said) == (1, "1 checked: report.sarif\n")
    assert [result["ruleId"] for result in log["runs"][0]["results"]] == ["MF010"]
    status, said = run("refused/conf", "--format", "github")
    assert status == 1
    assert said.startswith("::error file=refused/conf/model/evil.yaml,line=1,col=4,title=MF002::")
    status, said = run("refused/conf", "--output", "report.json")
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert (status, report["ok"], report["checked"][0]["problems"][0]["code"]) == (1, False, "MF002")
    assert run("conf", "--changed-only")[0] == 2


def test_the_bounds_are_below_ten_seconds_and_a_gibibyte():
    assert SECONDS < 10
    assert MEMORY < 2**30
    assert child.BOOT
