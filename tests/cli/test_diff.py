"""diff: two sides as a person names them."""

from __future__ import annotations

import pytest

from .conftest import git

GAIN_ONE, GAIN_TWO = {"file": "conf/init/orthogonal.yaml", "line": 2}, {"file": "conf/init/orthogonal.yaml", "line": 3}


def test_a_changed_gain_between_two_commits(data, repository):
    """Exactly the parameters whose target spread changes, by how much, and by which line."""
    answer = data("diff", "HEAD~1", "HEAD")
    assert [item["path"] for item in answer["parameters"]] == ["head.weight"]
    (head,) = answer["parameters"]
    assert head["std_ratio"] == pytest.approx(1.4)
    assert (head["old"]["std"], head["new"]["std"]) == (pytest.approx(0.25), pytest.approx(0.35))
    gain, std = head["changes"]
    assert (gain["name"], gain["old"], gain["new"]) == ("gain", 1.0, 1.4)
    assert gain["old_place"].items() >= GAIN_ONE.items()
    assert gain["new_place"].items() >= GAIN_TWO.items()
    assert std["name"] == "std"
    assert (answer["layers"], answer["totals"], answer["num_unchanged_parameters"]) == ([], [], 5)


def test_as_text(text, snapshot, repository):
    assert text("diff", "HEAD~1", "HEAD", "model=blocks") == snapshot


def test_as_markdown(text, snapshot, repository):
    assert text("diff", "HEAD~1", "HEAD", "model=blocks", "--markdown") == snapshot


def test_the_working_tree_is_the_default(data, repository):
    (repository / "conf/init/orthogonal.yaml").write_text("scheme: orthogonal\ngain: 2.8\n")
    assert [item["std_ratio"] for item in data("diff", "HEAD")["parameters"]] == [pytest.approx(2.0)]


def test_a_revision_is_never_checked_out(data, repository):
    before = {path: path.read_bytes() for path in repository.glob("conf/**/*.yaml")}
    (repository / "conf/model/rnn.yaml").unlink()
    data("diff", "HEAD~1", "HEAD")
    now = {path: path.read_bytes() for path in repository.glob("conf/**/*.yaml")}
    assert now == {path: content for path, content in before.items() if path.name != "rnn.yaml"}


def test_from_a_folder_below(data, repository, monkeypatch):
    (repository / "below").mkdir()
    monkeypatch.chdir(repository / "below")
    answer = data("diff", "HEAD~1", "HEAD", "--conf", "../conf")
    assert answer["parameters"][0]["changes"][0]["old_place"]["file"] == "../conf/init/orthogonal.yaml"


def test_folders(data, here, repository):
    answer = data("diff", str(here), "conf")
    assert [item["path"] for item in answer["parameters"]] == ["head.weight"]


def test_override_sets(text, snapshot):
    new = "model.layers.rnn.hidden_size=32 ~model.layers.rnn.init.bias"
    assert text("diff", "init=orthogonal", new) == snapshot


def test_layers_that_come_and_go(text, snapshot):
    assert text("diff", "model=rnn", "model=blocks") == snapshot


def test_no_difference(text):
    assert text("diff", ".", "init.gain=1.0") == ". → init.gain=1.0\nno difference"
    assert text("diff", ".", ".", "--markdown") == "### `.` → `.`\n\nNo difference."


def test_the_exit_code_says_so_where_asked(run):
    run("diff", ".", "init.gain=2", status=0)
    run("diff", ".", "init.gain=2", "--exit-code", status=1)
    run("diff", ".", "init.gain=1", "--exit-code", status=0)


def test_overrides_apply_to_both_sides(data):
    answer = data("diff", ".", "init.gain=2", "model=blocks")
    assert "trunk.0.expand.weight" in [item["path"] for item in answer["parameters"]]


def test_both_sides_may_be_wrong(text):
    shown = text("diff", "model=rn", "model.layers.head.out_features=many", status=1)
    assert "`model` has no option `rn` (in `model=rn`)" in shown
    assert "(in `model.layers.head.out_features=many`)" in shown


def test_a_problem_of_both_sides_is_said_once(text):
    shown = text("diff", ".", "init.gain=2", "model=rn", status=1)
    assert shown.count("`model` has no option `rn`") == 1
    assert "(in" not in shown


def test_a_name_that_means_nothing(text):
    shown = text("diff", "nowhere", status=1)
    assert shown.startswith("error[MF070]: `nowhere` is no folder, no override set and no git revision")


def test_a_quotation_mark_that_is_not_closed(text):
    assert "a quotation mark is not closed" in text("diff", "init.gain='2", status=1)


def test_a_revision_without_configs(text, repository):
    git("rm", "-r", "--quiet", "--cached", "conf")
    git("commit", "--quiet", "--message=three")
    shown = text("diff", "HEAD", status=1)
    assert "error[MF070]: there is no folder `conf` in the revision `HEAD`" in shown


def test_the_repository_is_that_of_the_configs(data, repository, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    answer = data("diff", "HEAD~1", "HEAD", "--conf", str(repository / "conf"))
    assert [item["path"] for item in answer["parameters"]] == ["head.weight"]


def test_a_link_out_of_the_configs_is_refused(text, repository):
    (repository / "conf/model/out.yaml").symlink_to("/etc/hostname")
    git("add", "conf")
    git("commit", "--quiet", "--message=three")
    assert "error[MF070]: `conf` of the revision `HEAD` cannot be unpacked" in text("diff", "HEAD", status=1)
