"""What the name of a side means: a folder, overrides, a revision, or a range."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.review.diff import read
from modelforge.review.sides import find_conf, open_side, parse_range
from tests.review.trees import edit


@pytest.mark.parametrize(
    ("name", "kind", "shown_as", "overrides"),
    [
        (".", "folder", "conf", ()),
        ("old", "folder", "old", ()),
        ("init=zeros seed=1", "overrides", "conf", ("init=zeros", "seed=1")),
        ("'init.gain=2'", "overrides", "conf", ("init.gain=2",)),
        ("~init", "overrides", "conf", ("~init",)),
    ],
)
def test_a_name_is_read_as_a_folder_or_as_overrides(trees: Path, name: str, kind: str, shown_as: str, overrides):
    with open_side(name, None) as side:
        assert (side.name, side.kind, side.shown_as, side.overrides) == (name, kind, shown_as, overrides)
        assert side.folder.resolve() == trees / shown_as


def test_a_revision_is_a_copy_while_the_context_lasts(git):
    edit("conf/config.yaml", "seed: 0", "seed: 1")
    with open_side("HEAD", None) as side:
        copy = side.folder
        assert (side.kind, side.shown_as) == ("revision", "conf")
        assert "seed: 0" in (copy / "config.yaml").read_text()
    assert not copy.exists()
    with open_side("HEAD:old", None) as side:
        assert side.shown_as == "old"


def test_a_folder_that_holds_configs_wins_over_a_revision_of_its_name(git):
    git("branch", "old")
    with open_side("old", None) as side:
        assert side.kind == "folder"
        assert side.note == "`old` is read as the folder; to name the revision: `refs/heads/old`"
    Path("plain").mkdir()
    git("branch", "plain")
    with open_side("plain", None) as side:
        assert (side.kind, side.note) == ("revision", "")


@pytest.mark.parametrize("name", ["nothing", "seed='1", "conf/config.yaml"])
def test_a_name_that_means_nothing_is_a_problem(git, name: str):
    with pytest.raises(ForgeError) as caught, open_side(name, None):
        pass
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("MF070", name)


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("main..HEAD", ("main", "HEAD")),
        ("..HEAD", ("HEAD", "HEAD")),
        ("main..", ("main", "HEAD")),
        ("..", None),
        (".", None),
        ("main", None),
        ("a.b=1..2", None),
        ("../conf", None),
    ],
)
def test_a_range_has_two_ends(git, name: str, ends: tuple[str, str] | None):
    assert parse_range(name) == ends


def test_three_dots_start_where_the_branches_parted(git):
    base = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "-b", "feature")
    git("commit", "--quiet", "--allow-empty", "--message=two")
    git("checkout", "--quiet", "main")
    git("commit", "--quiet", "--allow-empty", "--message=three")
    assert parse_range("main...feature") == (base, "feature")


def test_the_config_folder_is_found_from_a_folder_below(git, trees: Path, monkeypatch: pytest.MonkeyPatch):
    (trees / "below/deeper").mkdir(parents=True)
    monkeypatch.chdir(trees / "below/deeper")
    assert find_conf(None) == Path("../../conf")
    assert find_conf(Path("given")) == Path("given")


def test_one_side_is_read_as_a_plan(trees: Path):
    assert read("old").parameter("hidden.weight").scheme == "xavier"
    assert read("init=zeros", Path("old")).parameter("hidden.weight").scheme == "zeros"
    assert read("old", overrides=["extra=wide"]).parameter("hidden.weight").shape == (16, 8)
    with pytest.raises(TypeError, match="but gets a PosixPath"):
        read(Path("old"))  # pyright: ignore[reportArgumentType]  # that is the point


def test_a_branch_with_an_equals_sign(git):
    git("branch", "a=b")
    with open_side("refs/heads/a=b", None) as side:
        assert (side.kind, side.note) == ("revision", "")
    with open_side("a=b", None) as side:
        assert side.kind == "revision"
        assert side.note == '`a=b` is read as the revision; to name the override, put a blank before it: `" a=b"`'
    with open_side(" a=b", None) as side:
        assert (side.kind, side.overrides) == ("overrides", ("a=b",))
    assert parse_range("main..a=b") == ("main", "a=b")
    assert parse_range("seed=1..2") is None
