"""diff: two trees of configs. All that differs in them is shown, and how much was compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .conftest import git

HEADS = ("optimizer", "logger", "weights", "debug", "experiment", "hydra")


@pytest.fixture
def trees(repository: Path) -> Path:
    """The repository with a file in each of the groups that a model does not need."""
    config = repository / "conf/config.yaml"
    text = config.read_text(encoding="utf-8")
    assert text.startswith("defaults:\n")
    groups = "".join(f"  - {group}: {'default' if group == 'optimizer' else 'null'}\n" for group in HEADS[:-1])
    groups = groups.replace("defaults:\n", "")
    lines = text.splitlines(keepends=True)
    end = next(index for index, line in enumerate(lines[1:], 1) if not line.startswith("  "))
    config.write_text("".join([*lines[:end], groups, *lines[end:]]) + "batch: 8\n", encoding="utf-8")
    files = {
        "optimizer/default.yaml": "lr: 0.001\ntype: AdamW\n",
        "logger/csv.yaml": "csv: true\n",
        "weights/mine.yaml": "path: ???\nrename: {}\n",
        "debug/limit.yaml": "# @package _global_\nbatch: 2\n",
        "experiment/wide.yaml": "# @package _global_\nmodel: {layers: {rnn: {hidden_size: 32}}}\n",
        "hydra/default.yaml": "run: {dir: runs}\n",
        "model/unused.yml": "a: 1\n",
    }
    for name, content in files.items():
        path = repository / "conf" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    git("add", "conf")
    git("commit", "--quiet", "--message=groups")
    return repository


def edit(path: str, old: str, new: str) -> None:
    file = Path("conf", path)
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "old", "new", "shown"),
    [
        ("optimizer/default.yaml", "0.001", "0.01", "optimizer.lr  0.001 → 0.01"),
        ("config.yaml", "batch: 8", "batch: 9", "batch  8 → 9"),
        ("logger/csv.yaml", "true", "false", "logger.csv  true → false"),
        ("weights/mine.yaml", "{}", "{a: b}", "weights.rename.a  added: b"),
        ("debug/limit.yaml", "batch: 2", "batch: 3", "batch  2 → 3"),
        ("experiment/wide.yaml", "32", "48", "hidden_size  32 → 48"),
        ("model/unused.yml", "1", "2", "unused.yml: composition reads only .yaml files"),
        ("model/blocks.yaml", "", "", ""),
        ("optimizer/default.yaml", "0.001", '"0.001"', 'optimizer.lr  0.001 → "0.001"'),
        ("config.yaml", "seed: 0", "seed: 1", "every drawn value changes"),
        ("debug/limit.yaml", "# @package _global_", "# @package data", "data.batch  added: 2"),
    ],
)
def test_every_edit_is_shown(text, run, trees, monkeypatch, path, old, new, shown):
    monkeypatch.setenv("COLUMNS", "200")
    if shown:
        edit(path, old, new)
    else:
        edit(path, "type: ", "type:  ")
    answer = text("diff", "HEAD")
    assert "no difference" not in answer
    assert shown in answer
    assert ("no semantic change" in answer) is (not shown)
    run("diff", "HEAD", "--exit-code", status=int(bool(shown)))


def test_a_model_that_is_not_the_default(data, trees):
    edit("model/blocks.yaml", "times: 3", "times: 4")
    answer = data("diff", "HEAD")
    assert answer["compared"]["entries"] == ["the default", "model=blocks"]
    (change,) = [change for change in answer["changes"] if change["cause"]]
    assert (change["cause"]["key"], change["entries"]) == ("model.layers.trunk.times", ["model=blocks"])
    assert "trunk.3" in [effect["name"] for effect in change["effects"]]
    assert not answer["equal"]


def test_files_that_come_and_go(text, trees):
    Path("conf/model/more.yaml").write_text("input: {shape: [4]}\nlayers: {a: {type: Linear, out_features: 2}}\n")
    Path("conf/model/blocks.yaml").unlink()
    shown = text("diff", "HEAD")
    assert "+  model=more added: 1 layer, 10 parameters" in shown
    assert "-  model=blocks removed" in shown


def test_a_default_that_is_broken_on_one_side_is_status_2(text, trees):
    edit("model/rnn.yaml", "hidden_size:", "hiden_size:")
    assert "(in `.`)" in text("diff", "HEAD", status=2)


def test_an_edit_without_an_effect_is_shown(text, trees):
    edit("config.yaml", "batch: 8", "batch: 8\noptimizer: {lr: 7}")
    git("commit", "--quiet", "--all", "--message=masked")
    edit("config.yaml", "{lr: 7}", "{lr: 8}")
    shown = text("diff", "HEAD")
    assert "no difference" not in shown
    assert "config.yaml" in shown


def test_a_range_starts_where_the_branches_parted(data, trees):
    git("checkout", "--quiet", "-b", "feature")
    edit("optimizer/default.yaml", "0.001", "0.01")
    git("commit", "--quiet", "--all", "--message=feature")
    git("checkout", "--quiet", "main")
    edit("config.yaml", "batch: 8", "batch: 99")
    git("commit", "--quiet", "--all", "--message=main")
    for name in ("main...feature", "...feature"):
        causes = [change["cause"] for change in data("diff", name)["changes"]]
        assert [(cause["key"], cause["new"]) for cause in causes] == [("optimizer.lr", "0.01")]
    assert len(data("diff", "main..feature")["changes"]) == 2


def test_a_range_and_a_third_side(text, trees):
    shown = text("diff", "main...HEAD", "HEAD", status=2)
    assert shown == (
        "error[MF070]: `main...HEAD` names both sides, but `HEAD` is another one\n"
        "  --> HEAD\n"
        "   = help: only overrides may follow a range"
    )


def test_from_a_folder_below_without_naming_the_configs(data, trees, monkeypatch):
    edit("optimizer/default.yaml", "0.001", "0.01")
    (trees / "below/deeper").mkdir(parents=True)
    monkeypatch.chdir(trees / "below/deeper")
    answer = data("diff", "HEAD")
    assert [change["cause"]["key"] for change in answer["changes"]] == ["optimizer.lr"]


def test_a_folder_that_was_renamed(text, data, trees):
    shutil.move("conf", "configs")
    edit_path = Path("configs/optimizer/default.yaml")
    edit_path.write_text(edit_path.read_text().replace("0.001", "0.01"))
    shown = text("diff", "HEAD", "--conf", "configs", status=2)
    assert "name that side `HEAD:conf`" in shown
    answer = data("diff", "HEAD:conf", "configs")
    assert [change["cause"]["key"] for change in answer["changes"]] == ["optimizer.lr"]


def test_a_shallow_clone_says_how_to_fetch(text, trees, tmp_path_factory, monkeypatch):
    clone = tmp_path_factory.mktemp("clone")
    git("clone", "--quiet", "--depth=1", f"file://{trees}", str(clone))
    monkeypatch.chdir(clone)
    assert "`git fetch --unshallow origin` brings them" in text("diff", "HEAD~1", status=2)


def test_another_working_tree(data, trees, tmp_path_factory, monkeypatch):
    other = tmp_path_factory.mktemp("trees") / "other"
    git("worktree", "add", "--quiet", "-b", "other", str(other))
    monkeypatch.chdir(other)
    edit("optimizer/default.yaml", "0.001", "0.01")
    assert not data("diff", "HEAD")["equal"]
    assert data("diff", "main", "HEAD")["equal"]


def test_no_git(text, trees, monkeypatch):
    monkeypatch.setenv("PATH", "")
    shown = text("diff", "HEAD", status=2)
    assert "there is no `git` here" in shown


def test_no_repository(text, here, tmp_path_factory, monkeypatch):
    shutil.copytree(here / "conf", (folder := tmp_path_factory.mktemp("plain")) / "conf")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    assert "git says: not a git repository" in text("diff", "HEAD", status=2)


def test_an_override_set_against_a_revision_says_how_it_is_read(text, trees, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = text("diff", "HEAD", "model=blocks")
    assert [shown.splitlines()[0], shown.splitlines()[2]] == [
        "HEAD → model=blocks",
        "`model=blocks` is read as the new side, the working tree with these overrides; "
        "for both sides: modelforge diff HEAD . model=blocks",
    ]


def test_equal_trees(text, trees, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = text("diff", "HEAD")
    assert shown.startswith("HEAD → .\nno difference: all 13 files are the same, and so are 6 parameters and ")
    assert shown.endswith(" composed values of the default")


def test_order_and_comments_alone(text, trees):
    Path("conf/optimizer/default.yaml").write_text("# new\ntype: AdamW\nlr:   1e-3\n")
    shown = text("diff", "HEAD", "--markdown")
    assert "No semantic change: optimizer/default.yaml differs in formatting, comments or the order of keys." in shown


def test_a_model_that_is_broken_on_one_side(text, trees, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    edit("model/blocks.yaml", "times: 3", "times: many")
    shown = text("diff", "HEAD")
    said = "`times` must be a whole number, but is 'many'"
    assert f"!  broken on the new side  model=blocks cannot be planned on the new side: {said}" in shown


@pytest.fixture
def branches(trees: Path) -> Path:
    """A branch that edits, adds and removes files of every kind, and one commit on `main` since."""
    git("checkout", "--quiet", "-b", "feature")
    edit("optimizer/default.yaml", "0.001", "0.01")
    edit("model/blocks.yaml", "times: 3", "times: 4")
    edit("init/orthogonal.yaml", "gain: 1.4", "gain: 0.7")
    edit("model/unused.yml", "1", "2")
    edit("config.yaml", "batch: 8", "batch: 16  # of examples")
    Path("conf/model/small.yaml").write_text("input: {shape: [4]}\nlayers: {a: {type: Linear, out_features: 2}}\n")
    Path("conf/logger/csv.yaml").unlink()
    git("add", "conf")
    git("commit", "--quiet", "--all", "--message=feature")
    git("checkout", "--quiet", "main")
    edit("config.yaml", "batch: 8", "batch: 99")
    git("commit", "--quiet", "--all", "--message=main")
    return trees


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_a_branch_in_80_columns(text, snapshot, branches, form):
    assert text("diff", "main...feature", *(["--markdown"] if form == "markdown" else [])) == snapshot


def test_a_hash_is_short_for_people_and_whole_as_data(text, data, branches):
    base = git("merge-base", "main", "feature")
    assert text("diff", "main...feature").splitlines()[0] == f"{base[:12]} → feature"
    assert data("diff", "main...feature")["old"] == base
    assert text("diff", base, "feature", "--markdown").startswith(f"### `{base[:12]}` → `feature`\n")
