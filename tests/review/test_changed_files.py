"""Files of two config folders: which differ, in which values, and where their defaults lists lead."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.review.changed_files import PACKAGE, FileDiff, changed_files, content, named
from tests.review.trees import FILES, edit, side

KNOWN = frozenset(FILES)


def changed() -> dict[str, FileDiff]:
    return {file.path: file for file in changed_files(side("old"), side("conf"))[0]}


def test_equal_folders_have_no_changed_files(trees: Path):
    assert changed_files(side("old"), side("conf")) == ((), tuple(sorted(FILES)))
    assert changed_files(side("conf"), side("conf")) == ((), tuple(sorted(FILES)))


def test_a_changed_value_is_an_edit_with_both_places(trees: Path):
    edit("conf/init/xavier.yaml", "gain: 1.0", "gain: 2.0")
    ((path, file),) = changed().items()
    (change,) = file.edits
    assert (path, file.kind, file.formatting) == ("init/xavier.yaml", "changed", False)
    assert (change.name, change.old, change.new) == ("gain", 1.0, 2.0)
    assert (str(change.old_place), str(change.new_place)) == ("old/init/xavier.yaml:2:7", "conf/init/xavier.yaml:2:7")


def test_comments_and_order_are_formatting(trees: Path):
    edit("conf/init/zeros.yaml", "scheme", "# none\nscheme")
    Path("conf/init/xavier.yaml").write_text("gain: 1.0\nscheme: xavier\n")
    found = changed()
    assert all(file.formatting for file in found.values())
    assert {path: file.reordered for path, file in found.items()} == {
        "init/zeros.yaml": False,
        "init/xavier.yaml": True,
    }


def test_another_package_is_an_edit(trees: Path):
    edit("conf/extra/wide.yaml", "_global_", "model")
    (change,) = changed()["extra/wide.yaml"].edits
    assert (change.name, change.old, change.new) == (PACKAGE, "_global_", "model")


def test_a_package_below_another_comment_is_no_formatting(trees: Path):
    edit("conf/extra/wide.yaml", "# @package", "# wider\n# @package")
    assert not changed()["extra/wide.yaml"].formatting


def test_files_that_come_and_go_have_one_content(trees: Path):
    Path("conf/init/zeros.yaml").unlink()
    Path("conf/notes.txt").write_text("new")
    found = changed()
    assert {path: file.kind for path, file in found.items()} == {"init/zeros.yaml": "removed", "notes.txt": "added"}
    assert (found["init/zeros.yaml"].new, found["notes.txt"].new) == (None, None)
    assert not found["notes.txt"].is_config


def test_what_a_link_leads_to_outside_is_not_read(trees: Path, tmp_path_factory: pytest.TempPathFactory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.yaml"
    secret.write_text("token: hunter2\n")
    os.symlink(secret, trees / "conf/init/secret.yaml")
    os.symlink("xavier.yaml", trees / "conf/init/other.yaml")
    found = changed()
    assert set(found) == {"init/secret.yaml", "init/other.yaml"}
    read = {path: file.new for path, file in found.items()}
    linked, inside = read["init/secret.yaml"], read["init/other.yaml"]
    assert linked is not None
    assert inside is not None
    assert (linked.data, linked.document.text, inside.data) == ({}, "", {"scheme": "xavier", "gain": 1.0})
    assert [problem.message for problem in linked.problems] == ["`init/secret` lies outside the config folder"]


def test_links_are_compared_by_their_target(trees: Path):
    for folder in ("old", "conf"):
        os.symlink("/nowhere", trees / folder / "link")
    assert changed() == {}
    Path("conf/link").unlink()
    os.symlink("/elsewhere", trees / "conf/link")
    assert set(changed()) == {"link"}


def test_too_many_files_are_refused(trees: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("modelforge.review.changed_files.MAX_FILES", 5)
    with pytest.raises(ForgeError, match="`old` holds more than 5 files"):
        changed_files(side("old"), side("conf"))


def test_content_is_read_where_it_is_a_config(trees: Path):
    found = content(side("conf"), "extra/wide.yaml")
    assert found is not None
    assert (found.document.package, found.data["model"]["layers"]) == ("_global_", {"hidden": {"out_features": 16}})
    assert str(found.place("model.layers.hidden.out_features")) == "conf/extra/wide.yaml:2:41"
    assert content(side("conf"), "nothing.yaml") is None
    Path("conf/bad.yaml").write_bytes(b"\xff")
    bad = content(side("conf"), "bad.yaml")
    assert bad is not None
    assert [problem.message for problem in bad.problems] == ["the file is not UTF-8"]


@pytest.mark.parametrize(
    ("path", "defaults", "leads"),
    [
        ("config.yaml", "[_self_, model: mlp]", {"model/mlp.yaml"}),
        ("model/deep.yaml", "[mlp]", {"model/mlp.yaml"}),
        ("config.yaml", "[override /init@model.init: zeros]", {"init/zeros.yaml"}),
        ("config.yaml", "[init: [zeros, xavier]]", {"init/zeros.yaml", "init/xavier.yaml"}),
        ("config.yaml", "[model: '${which}']", {"model/mlp.yaml", "model/deep.yaml"}),
        ("config.yaml", "[model: none]", set()),
    ],
)
def test_a_defaults_list_leads_to_files(trees: Path, path: str, defaults: str, leads: set[str]):
    Path("conf", path).write_text(f"defaults: {defaults}\n")
    found = content(side("conf"), path)
    assert found is not None
    assert set(named(found, path, KNOWN)) == leads
