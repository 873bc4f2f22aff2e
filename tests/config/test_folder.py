"""The folder of configs: which one is meant where none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.config.folder import own_conf


@pytest.mark.parametrize(
    ("near", "way"),
    [
        ((), "go to the project's folder, write `--conf DIR`, or make a project: `modelforge new DIR`"),
        (("b", "a"), "write `--conf a` or `--conf b`"),
    ],
)
def test_what_works_on_a_whole_folder_never_takes_the_shipped_one(tmp_path, monkeypatch, fails, near, way):
    monkeypatch.chdir(tmp_path)
    for name in near:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").touch()
    fails(
        own_conf,
        f"""
        error[MF001]: there is no `conf/config.yaml` here
          --> conf
           = help: {way}
        """,
    )
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").touch()
    assert own_conf() == Path("conf")
