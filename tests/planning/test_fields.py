"""decided_fields: the nearest block that sets a field is the one that is named."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelforge as mf
from modelforge.planning.fields import decided_fields, written_place

CONFIG = """
model:
  input: {shape: [4]}
  init: {mode: fan_out}
  layers:
    head:
      type: Linear
      out_features: 2
      init: {gain: 2.0}
init: {scheme: xavier, gain: 1.0}
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mf.Plan:
    monkeypatch.chdir(tmp_path)
    Path("conf").mkdir()
    Path("conf/config.yaml").write_text(CONFIG)
    return mf.plan(mf.load("conf", ["+init.distribution=normal"]))


def test_who_set_what(plan):
    fields = decided_fields(plan.parameter("head.weight"), plan.origins)
    assert [(field.name, field.value, field.key, str(field.place or "")) for field in fields] == [
        ("gain", 2.0, "model.layers.head.init", "conf/config.yaml:9:20"),
        ("mode", "fan_out", "model.init", "conf/config.yaml:4:16"),
        ("distribution", "normal", "init", "override +init.distribution=normal"),
        ("truncate", 2.0, "", ""),
    ]


def test_what_was_not_written_has_no_place(plan):
    assert str(written_place(plan.origins, "model.layers.head", "out_features")) == "conf/config.yaml:8:21"
    assert written_place(plan.origins, "model.layers.head", "in_features") is None
