"""Revisions of git: whether there is one, where two parted, and a copy of its configs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.review.fetching import fetch_commits
from modelforge.review.revision import extracted, is_revision, merge_base, root_of, short, unknown
from tests.review.trees import edit


def test_a_full_hash_is_cut_and_other_names_are_left_whole(git):
    commit = git("rev-parse", "HEAD")
    assert short(commit) == commit[:12]
    assert short(commit[:39]) == commit[:39]
    assert short("feature/a-very-long-name-of-a-branch") == "feature/a-very-long-name-of-a-branch"


def test_a_revision_names_a_commit(git, trees: Path):
    assert all(is_revision(name, trees) for name in ("HEAD", "main", git("rev-parse", "HEAD")))
    assert not any(is_revision(name, trees) for name in ("nothing", "HEAD~1", "HEAD:conf", "--help", "a\0b", ""))
    assert is_revision("HEAD", trees / "gone" / "for" / "ever")


def test_the_root_is_that_of_the_repository(git, trees: Path):
    assert root_of(trees / "conf") == trees.resolve()


def test_a_config_folder_that_looks_like_a_repository_is_none(git, trees: Path, tmp_path_factory):
    done = tmp_path_factory.mktemp("elsewhere") / "done"
    for name in ("objects", "refs"):
        (trees / "conf" / name).mkdir()
    (trees / "conf" / "HEAD").write_text("ref: refs/heads/other\n")
    (trees / "conf" / "config").write_text(
        f"[core]\n\tbare = false\n\tworktree = {trees}\n\tsshCommand = touch {done}; false\n"
        '[remote "origin"]\n\turl = ssh://host/path\n'
    )
    assert is_revision("main", trees / "conf")
    with pytest.raises(ForgeError, match="git cannot fetch"):
        fetch_commits(["nothing"], trees / "conf")
    assert not done.exists()


@pytest.mark.parametrize("dots", ["..", "..."])
def test_a_clone_of_one_branch_gets_the_others(git, trees: Path, tmp_path_factory, monkeypatch, dots: str):
    git("checkout", "-q", "-b", "feature")
    git("commit", "-q", "--allow-empty", "-m", "two")
    clone = tmp_path_factory.mktemp("clone")
    git("clone", "-q", "--depth=1", "--branch=feature", f"file://{trees}", str(clone))
    monkeypatch.chdir(clone)
    asked = [f"main{dots}feature", "origin/main", "HEAD~1", "seed=1", ".", "../conf"]
    assert fetch_commits(asked, None) == [
        f"origin/main{dots}feature",
        "origin/main",
        "HEAD~1",
        "seed=1",
        ".",
        "../conf",
    ]
    assert is_revision("origin/main", clone)
    assert is_revision("HEAD~1", clone)


def test_without_a_repository_there_is_no_root(trees: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(trees.parent))
    assert root_of(trees) is None
    assert "not a git repository" in unknown("HEAD", trees, "is unknown").hint
    monkeypatch.setenv("PATH", "")
    assert root_of(trees) is None
    assert unknown("HEAD", trees, "is unknown").hint == "install git, or name two folders"


def test_a_copy_holds_the_folder_as_it_was(git, trees: Path):
    edit("conf/config.yaml", "seed: 0", "seed: 1")
    Path("conf/init/zeros.yaml").unlink()
    with extracted("HEAD", trees / "conf") as copy:
        names = {path.relative_to(copy.folder).as_posix() for path in copy.folder.rglob("*.yaml")}
        assert names == {path.relative_to(trees / "old").as_posix() for path in (trees / "old").rglob("*.yaml")}
        assert (copy.folder / "config.yaml").read_bytes() == (trees / "old/config.yaml").read_bytes()
    assert not copy.folder.exists()
    assert "seed: 1" in (trees / "conf/config.yaml").read_text()


def test_a_folder_that_a_revision_lacks_says_where_its_configs_are(git, trees: Path):
    with pytest.raises(ForgeError) as caught, extracted("HEAD", trees / "configs"):
        pass
    (problem,) = caught.value.problems
    assert problem.code == "MF070"
    assert problem.message.endswith("in the revision `HEAD`")
    assert problem.hint == "it has a `config.yaml` in `conf`: name that side `HEAD:conf`"


def test_branches_without_a_common_commit_have_no_base(git, trees: Path):
    git("checkout", "--quiet", "--orphan", "alone")
    git("commit", "--quiet", "--allow-empty", "--message=alone")
    with pytest.raises(ForgeError, match="`main` and `alone` have no common commit here"):
        merge_base("main", "alone", trees)
    with pytest.raises(ForgeError, match="`nothing` is not a git revision"):
        merge_base("main", "nothing", trees)
    assert merge_base("main", "main", trees) == git("rev-parse", "main")


def test_a_branch_of_a_remote_is_suggested_by_its_whole_name(git, trees: Path, tmp_path_factory):
    git("branch", "feature")
    clone = tmp_path_factory.mktemp("clone")
    subprocess.run(["git", "clone", "--quiet", str(trees), str(clone)], check=True)
    assert unknown("feature", clone, "is unknown").hint == "did you mean `origin/feature`?"
    assert unknown("featur", trees, "is unknown").hint == "did you mean `feature`?"
