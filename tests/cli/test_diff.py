"""diff: two sides as a person names them."""

from __future__ import annotations

import pytest

import modelforge as mf
from modelforge.cli.diff import FAILING, fails
from modelforge.review.document import MAX_CHANGES, Document
from modelforge.review.documented import documented_diff
from tests.review.test_document import SMALL

from .conftest import git


def parameters(answer):
    """Names of the parameters that differ in the default."""
    effects = [effect for change in answer["changes"] for effect in change["effects"]]
    shown = [effect for effect in effects if not effect["entries"] or "the default" in effect["entries"]]
    return [effect["name"] for effect in shown if effect["subject"] == "parameter"]


def changed_init(answer):
    """The change of how parameters start."""
    (found,) = [change for change in answer["changes"] if change["kind"] == "init-changed"]
    return found


def test_a_changed_gain_between_two_commits(data, repository):
    """Exactly the parameters whose target std changes, by how much, and by which line."""
    answer = data("diff", "HEAD~1", "HEAD")
    gain = changed_init(answer)
    others = {change["kind"] for change in answer["changes"]} - {"init-changed", "note-new", "note-gone"}
    assert others == {"init-unreached", "signal-changed"}
    assert (gain["kind"], gain["section"], gain["num_redrawn"]) == ("init-changed", "init", 8)
    cause = gain["cause"]
    assert (cause["key"], cause["old"], cause["new"], cause["ratio"]) == ("init.gain", "1", "1.4", 1.4)
    assert (cause["old_spot"]["file"], cause["old_spot"]["line"]) == ("conf/init/orthogonal.yaml", 2)
    assert (cause["new_spot"]["file"], cause["new_spot"]["line"]) == ("conf/init/orthogonal.yaml", 3)
    (head,) = [effect for effect in gain["effects"] if effect["name"] == "head.weight" and effect["old_std"] == 0.25]
    assert (head["name"], head["subject"], head["ratio"]) == ("head.weight", "parameter", pytest.approx(1.4))
    assert (head["old_std"], head["new_std"]) == (pytest.approx(0.25), pytest.approx(0.35))
    assert answer["compared"]["num_parameters"] == 6


def test_as_text(text, snapshot, repository):
    assert text("diff", "HEAD~1", "HEAD", "model=blocks") == snapshot


def test_as_markdown(text, snapshot, repository):
    assert text("diff", "HEAD~1", "HEAD", "model=blocks", "--markdown") == snapshot


@pytest.mark.parametrize("sides", [(), ("HEAD",), ("HEAD", ".")])
def test_the_last_commit_and_the_working_tree_are_the_defaults(data, repository, sides):
    (repository / "conf/init/orthogonal.yaml").write_text("scheme: orthogonal\ngain: 2.8\n")
    assert changed_init(data("diff", *sides))["effects"][0]["ratio"] == pytest.approx(2.0)


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
    assert changed_init(answer)["cause"]["old_spot"]["file"] == "../conf/init/orthogonal.yaml"


def test_folders(data, here, repository):
    answer = data("diff", str(here), "conf")
    assert parameters(answer) == ["head.weight"]


def test_override_sets(text, snapshot):
    new = "model.layers.rnn.hidden_size=32 ~model.layers.rnn.init.bias"
    assert text("diff", "init=orthogonal", new) == snapshot


def test_layers_that_come_and_go(text, snapshot):
    assert text("diff", "model=rnn", "model=blocks") == snapshot


def test_no_difference(text):
    assert text("diff", ".", "init.gain=1.0") == (
        ". → init.gain=1.0\nno difference: 6 parameters and 68 composed values are the same"
    )
    assert text("diff", ".", ".", "--markdown") == (
        "### `.` → `.`\n\n**No difference: 6 parameters and 68 composed values are the same.**"
    )


def test_the_exit_code_says_so_where_asked(run):
    run("diff", ".", "init.gain=2", status=0)
    run("diff", ".", "init.gain=2", "--exit-code", status=1)
    run("diff", ".", "init.gain=1", "--exit-code", status=0)


def test_changes_that_a_document_has_no_room_for_fail():
    document = Document.model_validate({**SMALL, "changes": [], "num_changes": MAX_CHANGES + 1})
    assert [name for name in FAILING if not fails(document, name)] == ["none"]
    whole = Document.model_validate({**SMALL, "changes": [], "num_changes": 0})
    assert not any(fails(whole, name) for name in FAILING)


def test_what_cannot_be_compared_may_differ_in_any_way():
    kinds = {"kind": "broken-new", "section": "broken", "severity": "error"}
    changes = [{**SMALL["changes"][0], **kinds, "num_redrawn": 0}]
    document = Document.model_validate({**SMALL, "changes": changes, "num_changes": 1})
    assert [name for name in FAILING if not fails(document, name)] == ["none"]


def test_a_tie_is_a_parameter_that_starts_differently():
    layers = {
        "token": {"type": "Embedding", "num_embeddings": 8, "embedding_dim": 8},
        "head": {"type": "Linear", "out_features": 8, "bias": False},
    }
    model = {"input": {"shape": [4], "dtype": "int64"}, "layers": layers}
    plans = [
        mf.plan(mf.parse({"model": {**model, **tie}, "init": {"scheme": "normal", "std": 0.02}}))
        for tie in ({}, {"tie": {"head.weight": "token.weight"}})
    ]
    document = documented_diff(mf.diff(*plans))
    assert not any(change.section == "init" or change.num_redrawn for change in document.changes)
    assert fails(document, "changed-init")
    assert not fails(document, "changed-training")


def test_overrides_apply_to_both_sides(data):
    answer = data("diff", ".", "init.gain=2", "model=blocks")
    assert "trunk.[0-2].expand.weight" in parameters(answer)


def test_both_sides_may_be_wrong(text):
    shown = text("diff", "model=rn", "model.layers.head.out_features=many", status=2)
    assert "`model` has no option `rn` (in `model=rn`)" in shown
    assert "(in `model.layers.head.out_features=many`)" in shown


def test_a_problem_of_both_sides_is_said_once(text):
    shown = text("diff", ".", "init.gain=2", "model=rn", status=2)
    assert shown.count("`model` has no option `rn`") == 1
    assert "(in" not in shown


def test_a_name_that_means_nothing(text):
    shown = text("diff", "nowhere", status=2)
    assert shown.startswith("error[MF070]: `nowhere` is neither a folder, nor a set of overrides, nor a git revision")


def test_a_quotation_mark_that_is_not_closed(text):
    assert "a quotation mark is not closed" in text("diff", "init.gain='2", status=2)


def test_a_revision_without_configs(text, repository):
    git("rm", "-r", "--quiet", "--cached", "conf")
    git("commit", "--quiet", "--message=three")
    shown = text("diff", "HEAD", status=2)
    assert "error[MF070]: there is no folder `conf` in the revision `HEAD`" in shown


def test_the_repository_is_that_of_the_configs(data, repository, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    answer = data("diff", "HEAD~1", "HEAD", "--conf", str(repository / "conf"))
    assert parameters(answer) == ["head.weight"]


def test_a_revision_at_the_root_of_the_repository(data, repository, monkeypatch):
    monkeypatch.chdir(repository / "conf")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message=inner")
    assert data("diff", "HEAD", ".", "--conf", ".", "init.gain=1")["equal"]


@pytest.mark.parametrize("attribute", ["export-ignore", "filter=shout", "export-subst", "text eol=crlf"])
def test_attributes_of_a_revision_have_no_say(data, repository, attribute):
    """They come from whoever wrote the revision, and could hide a file, rewrite it, or start a filter."""
    git("config", "filter.shout.smudge", f"touch {repository}/ran; sed 's/1.4/9.9/'")
    git("config", "filter.shout.clean", "cat")
    (repository / "conf/.gitattributes").write_text(f"*.yaml {attribute}\n")
    (repository / ".gitattributes").write_text(f"*.yaml {attribute}\n")
    (repository / "conf/init/orthogonal.yaml").write_text("scheme: orthogonal\ngain: 1.4  # $Format:%n$\n")
    git("add", ".")
    git("commit", "--quiet", "--message=three")
    answer = data("diff", "HEAD~1", "HEAD")
    assert answer["equal"], answer
    assert not (repository / "ran").exists()


@pytest.mark.parametrize("target", ["/etc/hostname", "../../README.md", "missing.yaml", ".", "out.yaml", "../init"])
def test_a_link_that_leads_to_no_config_is_left_out(data, repository, target):
    (repository / "conf/model/out.yaml").symlink_to(target)
    (repository / "conf/init/orthogonal.yaml").write_text("scheme: orthogonal\ngain: 2.5\n")
    git("add", "conf")
    git("commit", "--quiet", "--message=three")
    answer = data("diff", "HEAD~1", "HEAD")
    found = {change["kind"]: change["title"] for change in answer["changes"]}
    assert found["file-not-compared"] == f"model/out.yaml: link to {target}: it is not followed"
    assert found.keys() > {"init-changed"}, "the rest is compared"
    git("commit", "--quiet", "--allow-empty", "--message=four")
    again = data("diff", "HEAD~1", "HEAD")
    assert again["equal"]
    assert f"left out on both sides: model/out.yaml (link to {target})" in again["notes"]


def test_a_link_to_a_config_is_that_config(data, repository):
    (repository / "conf/model/again.yaml").symlink_to("rnn.yaml")
    (repository / "conf/model/once_more.yaml").symlink_to("../model/again.yaml")
    git("add", "conf")
    git("commit", "--quiet", "--message=three")
    answer = data("diff", "HEAD~1", "HEAD")
    assert {change["title"].partition(" added")[0] for change in answer["changes"]} == {
        "model=again",
        "model=once_more",
    }
    assert answer["not_compared"] == []


def test_links_do_not_make_a_revision_larger_than_it_may_be(text, repository):
    (repository / "conf/large.yaml").write_bytes(b"#" * 2**20)
    for number in range(17):
        (repository / f"conf/{number}.yaml").symlink_to("large.yaml")
    git("add", "conf")
    git("commit", "--quiet", "--message=three")
    assert "holds more than 16 MiB" in text("diff", "HEAD", status=2)


def test_a_submodule_in_the_configs_is_left_out(data, repository):
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},conf/sub")
    git("commit", "--quiet", "--message=three")
    answer = data("diff", "HEAD~1", "HEAD")
    assert [change["title"] for change in answer["changes"]] == ["sub: submodule at 111111111111: it is not followed"]


def test_a_default_that_a_link_leads_away_from(text, repository):
    (repository / "conf/init/orthogonal.yaml").unlink()
    (repository / "conf/init/orthogonal.yaml").symlink_to("/etc/hostname")
    git("add", "conf")
    git("commit", "--quiet", "--message=three")
    shown = text("diff", "HEAD~1", "HEAD", "init=orthogonal", status=2)
    assert "left out of what is compared: `init/orthogonal.yaml` (link to /etc/hostname)" in shown


def test_a_path_out_of_the_folder_is_refused(text, repository):
    """Git writes no such name, but a tree made by hand can hold one."""
    blob = git("hash-object", "-w", "conf/config.yaml")
    above = git("mktree", given=f"100644 blob {blob}\tconfig.yaml\n")
    conf = git("mktree", given=f"040000 tree {above}\t..\n100644 blob {blob}\tconfig.yaml\n")
    root = git("mktree", given=f"040000 tree {conf}\tconf\n")
    commit = git("commit-tree", root, "-m", "four")
    assert "holds a name that leads out of it: `..`" in text("diff", commit, status=2)


def test_a_folder_of_one_name_with_a_file_is_refused(text, repository):
    blob = git("hash-object", "-w", "conf/config.yaml")
    inner = git("mktree", given=f"100644 blob {blob}\tconfig.yaml\n")
    conf = git("mktree", given=f"100644 blob {blob}\tmodel\n040000 tree {inner}\tmodel\n")
    root = git("mktree", given=f"040000 tree {conf}\tconf\n")
    shown = text("diff", git("commit-tree", root, "-m", "four"), status=2)
    assert "cannot be copied:" in shown


def test_configs_that_are_too_large_are_refused(text, repository):
    for number in range(17):
        (repository / f"conf/{number}.yaml").write_bytes(b"#" * 2**20)
    git("add", "conf")
    git("commit", "--quiet", "--message=three")
    shown = text("diff", "HEAD", status=2)
    assert "error[MF060]: `conf` of the revision `HEAD` holds more than 16 MiB" in shown


@pytest.mark.parametrize("empty", [False, True])
def test_configs_without_end_are_refused(text, repository, empty):
    """Thirty objects that stand for 10^30 files, or for as many folders that hold none."""
    blob = git("hash-object", "-w", "conf/config.yaml")
    tree = git("mktree", given="" if empty else f"100644 blob {blob}\tconfig.yaml\n")
    for _ in range(30):
        tree = git("mktree", given="".join(f"040000 tree {tree}\t{name}\n" for name in range(10)))
    root = git("mktree", given=f"040000 tree {tree}\tconf\n")
    shown = text("diff", git("commit-tree", root, "-m", "four"), status=2)
    assert "error[MF060]" in shown
    assert "holds more than 10,000 files and folders" in shown


def test_an_object_that_is_missing(text, repository):
    blob = git("rev-parse", "HEAD:conf/model/rnn.yaml")
    (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
    assert "cannot be read: an object is missing from the repository" in text("diff", "HEAD", status=2)
