"""The commands about what configs declare: options that do not go together."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["check", "lint"])
def test_a_revision_is_for_changed_files_alone(run, name: str):
    assert "--base-ref is for --changed-only" in run(name, "--base-ref", "main", status=2).stderr


def test_a_strangers_folder_has_no_changed_files(run):
    said = run("check", "--untrusted", "--changed-only", status=2).stderr
    assert "choose one of --untrusted and --changed-only" in said
