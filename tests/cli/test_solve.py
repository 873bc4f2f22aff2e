"""solve: overrides that lead back to what was predicted with them."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_the_overrides_lead_to_the_prediction(data, direction):
    found = data("solve", "model=blocks", "--direction", direction)
    assert found["overrides"]
    again = data("solve", "model=blocks", *found["overrides"], "--direction", direction)
    assert again["before"] == found["after"]


def test_each_override_is_one_line_that_can_be_pasted(text):
    lines = text("solve", "model=blocks").splitlines()
    assert [line for line in lines if line.startswith(("init", "'++"))]
    assert any(line.startswith("signals   after  ") for line in lines)


def test_directions_have_names(run):
    assert "forward" in run("solve", "--direction", "up", status=2).stderr
