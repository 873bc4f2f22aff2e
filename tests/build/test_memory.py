"""Where memory ends, and where values live."""

from __future__ import annotations

import pytest

import modelforge as mf

HUGE = 10**15


@pytest.mark.parametrize(
    ("layer", "path", "message"),
    [
        ({"type": "BatchNorm1d"}, "model.layers.huge", "can't allocate memory"),
        ({"type": "LayerNorm"}, "model", "there is no memory on cpu for a parameter of shape"),
    ],
)
def test_too_large_to_allocate(layer: dict[str, str], path: str, message: str):
    """A layer with buffers is constructed in memory, the others are given it afterwards."""
    plan = mf.plan(mf.parse({"input": {"shape": [HUGE]}, "layers": {"huge": layer}}))
    with pytest.raises(mf.ForgeError) as caught:
        mf.build(plan)
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("MF060", path)
    assert message in problem.message
