"""git-diff-driver: what git passes to an external diff."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from .conftest import git

HASH, NONE = "a" * 40, "0" * 40
CHANGED = "conf/init/orthogonal.yaml"


@pytest.fixture
def before(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file as it was, where git puts a blob."""
    file = tmp_path_factory.mktemp("blob") / "orthogonal.yaml"
    file.write_text("scheme: orthogonal\ngain: 1.0\n")
    return file


def test_a_changed_file_is_shown_by_its_meaning(text, before):
    shown = text("git-diff-driver", CHANGED, str(before), HASH, "100644", CHANGED, NONE, "100644")
    assert shown.splitlines()[0] == "aaaaaaa:conf/init/orthogonal.yaml → conf/init/orthogonal.yaml"
    assert "~  init.gain  1 → 1.4" in shown


def test_a_new_and_a_deleted_file(text, before):
    path = "conf/init/extra.yaml"
    shown = text("git-diff-driver", path, "/dev/null", ".", ".", str(before), HASH, "100644")
    assert shown.splitlines()[:2] == ["nothing → aaaaaaa:conf/init/extra.yaml", "1 option added"]
    shown = text("git-diff-driver", path, str(before), HASH, "100644", "/dev/null", ".", ".")
    assert shown.splitlines()[:2] == ["aaaaaaa:conf/init/extra.yaml → nothing", "1 option removed"]


def test_a_renamed_file(text, before):
    new = "conf/init/renamed.yaml"
    shown = text(
        "git-diff-driver", CHANGED, str(before), HASH, "1", str(before), HASH, "1", new, "similarity index 90%"
    )
    assert shown.splitlines()[0] == f"aaaaaaa:{CHANGED} → aaaaaaa:{new}"


def test_a_file_that_moves_to_another_config_folder(text, before, repository):
    shutil.copytree(repository / "conf", repository / "other/conf")
    new = "other/conf/init/moved.yaml"
    sides = (str(before), HASH, "1", str(before), HASH, "1")
    shown = text("git-diff-driver", CHANGED, *sides, new, "similarity index 100%")
    assert shown.splitlines() == [
        f"aaaaaaa:{CHANGED} → aaaaaaa:{new}",
        "the same values in another place; what reads them is not compared",
    ]


def test_a_folder_that_does_not_compose_falls_back_to_the_values_of_the_file(text, before, repository):
    (repository / "conf/config.yaml").write_text("defaults: [nothing]\n")
    shown = text("git-diff-driver", CHANGED, str(before), HASH, "100644", CHANGED, NONE, "100644")
    assert "the values of the file alone" in shown
    assert "~  gain  1 → 1.4" in shown


@pytest.mark.parametrize("special", ["link", "endless", "pipe"])
def test_a_folder_with_more_than_files_is_not_copied(text, before, repository, tmp_path_factory, special):
    place = repository / "conf/model/other.yaml"
    if special == "pipe":
        os.mkfifo(place)
    elif special == "endless":
        place.symlink_to("/dev/zero")
    else:
        secret = tmp_path_factory.mktemp("elsewhere") / "secret.yaml"
        secret.write_text("token: hunter2\n")
        place.symlink_to(secret)
    shown = text("git-diff-driver", CHANGED, str(before), HASH, "100644", CHANGED, NONE, "100644")
    assert "the values of the file alone" in shown
    assert "~  gain  1 → 1.4" in shown
    assert "hunter2" not in shown


def test_what_is_no_config_is_shown_by_its_lines(text, repository, tmp_path_factory):
    file = tmp_path_factory.mktemp("blob") / "x.yaml"
    file.write_text("a: [\n")
    shown = text("git-diff-driver", "x.yaml", str(file), HASH, "1", CHANGED, NONE, "1")
    assert "-a: [" in shown
    assert "+gain: 1.4" in shown


def test_formatting_alone(text, before, repository):
    (repository / CHANGED).write_text("# same\nscheme: orthogonal\ngain:   1.0\n")
    shown = text("git-diff-driver", CHANGED, str(before), HASH, "1", CHANGED, NONE, "1")
    assert "no semantic change" in shown


def test_an_unmerged_file_and_misuse(text, repository):
    assert text("git-diff-driver", "a.yaml") == "unmerged: a.yaml"
    assert "git passes 1, 7 or 9 arguments" in text("git-diff-driver", "a", "b", status=1)


def test_git_itself_calls_it(repository, text):
    """By the two lines of the manual, with a program of this environment."""
    (repository / ".gitattributes").write_text("conf/**/*.yaml diff=modelforge\n")
    git("config", "diff.modelforge.command", "echo called with")
    (repository / CHANGED).write_text("scheme: orthogonal\ngain: 2.0\n")
    assert git("diff").startswith(f"called with {CHANGED} ")
