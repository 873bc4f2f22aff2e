"""The strict scan: what it refuses of strangers' files, and what it lets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.config.scan import Scan, scanned
from modelforge.config.snapshot import snapshot
from modelforge.core.errors import ForgeError, Problem, grouped
from modelforge.core.limits import MAX_SCANNED_NODES
from tests.config.strangers import CONFIG, HARMLESS, project

CONF = Path(__file__).parents[2] / "conf"


def scan(text: str | bytes, below: str = "config.yaml") -> list[Problem]:
    content = text.encode("utf-8") if isinstance(text, str) else text
    return Scan().file(content, below, f"conf/{below}")


def codes(text: str | bytes, below: str = "config.yaml") -> list[str]:
    return [problem.code for problem in scan(text, below)]


@pytest.mark.parametrize("name", HARMLESS)
def test_near_misses_are_let_through(tmp_path: Path, name: str):
    project(tmp_path, HARMLESS[name])
    snapshot(tmp_path / "conf", tmp_path / "copy", "conf")
    assert [*map(str, scanned(tmp_path / "copy", "conf"))] == []


def test_the_shipped_configs_are_let_through(tmp_path: Path):
    snapshot(CONF, tmp_path / "conf", "conf")
    assert scanned(tmp_path / "conf", "conf") == ()


def test_every_problem_of_every_file_is_found_at_once(tmp_path: Path):
    project(tmp_path, {"config.yaml": f"{CONFIG}x: ${{oc.env:HOME}}\ny: {{_target_: os.system}}\nz: ${{oc.env:USER}}\n",
                       "data/a.yaml": "a: 1\na: 2\n", "data/b.yaml": "b: \u202e\n"})  # fmt: skip
    found = scanned(tmp_path / "conf", "conf")
    assert [(problem.code, str(problem.place)) for problem in found] == [
        ("MF006", "conf/config.yaml:4:5"),
        ("MF005", "conf/config.yaml:3:4"),
        ("MF005", "conf/config.yaml:5:4"),
        ("MF002", "conf/data/a.yaml:2:1"),
        ("MF007", "conf/data/b.yaml:1:4"),
    ]


def test_equal_problems_are_folded():
    found = scan("".join(f"k{i}: {{_target_: x}}\n" for i in range(50)))
    assert len(found) == 50
    assert len(grouped(found)) == 1


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a: 1\nb: \u202e\n", 2, 4), ("# \u2066", 1, 3), ('a: 1\nb: "x\\u202e"\n', 2, 4), ("\u200bx: 1\n", 1, 1),
     ("a: 1\r\nb: \x07\r\n", 2, 4)],
)  # fmt: skip
def test_the_place_of_a_hidden_character(text: str, line: int, column: int):
    (problem,) = scan(text)
    assert problem.code == "MF007"
    assert problem.place is not None
    assert (problem.place.line, problem.place.column) == (line, column)


def test_hidden_characters_are_printed_as_escapes():
    text = str(ForgeError(scan('"se\\u200bed": "\\u202e\\e[2J"\n# \u2066\n')))
    assert not [letter for letter in text if letter in "\u200b\u202e\u2066\x1b"]


@pytest.mark.parametrize(
    ("depth", "refused"), [(49, False), (50, True)], ids=["as deep as a file may be", "one level deeper"]
)
def test_depth(depth: int, refused: bool):
    assert codes(f"a: {'[' * (depth - 1)}[]{']' * (depth - 1)}\n") == (["MF060"] if refused else [])


def test_depth_counts_what_aliases_add():
    within = "[" * 30 + "x" + "]" * 30
    assert codes(f"a: &a {within}\nb: {'[' * 10}*a{']' * 10}\n") == []
    assert codes(f"a: &a {within}\nb: {'[' * 30}*a{']' * 30}\n") == ["MF060"]


def test_nodes_count_what_aliases_add():
    assert codes(f"a: &a [{'x,' * 100}]\nb: [{'*a,' * 100}]\n") == []
    assert codes(f"a: &a [{'x,' * 300}]\nb: [{'*a,' * 300}]\n") == ["MF060"]


def test_all_files_together_have_a_bound():
    scan = Scan()
    content = "".join(f"k{i}: 1\n" for i in range(20_000)).encode()
    found = [scan.file(content, f"{i}.yaml", f"conf/{i}.yaml") for i in range(4)]
    assert [*map(len, found)] == [0, 0, 1, 1]
    assert scan.num_nodes <= MAX_SCANNED_NODES + 2


@pytest.mark.parametrize(
    ("below", "text", "expected"),
    [("hydra/default.yaml", "run: {dir: x}\n", []), ("hydra/default.yaml", "callbacks: {}\n", ["MF006"]),
     ("model/a.yaml", "# @package _global_\nhydra: {callbacks: {}}\n", ["MF006"]),
     ("model/a.yaml", "# @package hydra.callbacks\nx: {}\n", ["MF006"]),
     ("model/a.yaml", "hydra: {callbacks: {}}\n", ["MF006"]), ("model/a.yaml", "layers: {hydra: {type: ReLU}}\n", []),
     ("hydra/launcher/a.yaml", "n_jobs: 2\n", []), ("hydra/launcher/a.yaml", "_target_: x\n", ["MF006", "MF006"])],
)  # fmt: skip
def test_settings_of_hydra(below: str, text: str, expected: list[str]):
    assert codes(text, below) == expected


def test_the_message_of_a_search_path():
    (problem,) = scan("hydra: {searchpath: [pkg://antigravity]}\n")
    assert str(problem).splitlines() == [
        "error[MF004]: `pkg://antigravity` is not searched for configs",
        "  --> conf/config.yaml:1:22",
        "   |",
        "1  | hydra: {searchpath: [pkg://antigravity]}",
        "   |                      ^^^^^^^^^^^^^^^^^ write a folder below the config folder, or `pkg://modelforge.conf`,"
        " the configs that modelforge ships",
    ]
