"""A std of one's choice, by a field of the scheme where it has one."""

from __future__ import annotations

import pytest

import modelforge as mf
from modelforge.signal.retuned import retuned, root_mean_square
from tests.signal.nets import chain

LAYER = {"type": "Linear", "out_features": 16}


def fields(init):
    parameter = mf.plan(chain(LAYER, shape=[16], init=init)).parameter("linear0.weight")
    found = retuned(parameter, 0.3, digits=5)
    assert found is not None
    assert root_mean_square(found.after) == pytest.approx(0.3, rel=1e-4)
    return dict(found.fields)


def test_each_scheme_by_its_own_field():
    assert fields("orthogonal") == {"gain": 1.2}
    assert fields({"scheme": "kaiming", "gain": "relu"}) == {"gain": 1.2}
    assert fields({"scheme": "normal", "std": 1.0, "mean": 0.0}) == {"std": 0.3}
    assert fields({"scheme": "truncated_normal", "std": 1.0}).keys() == {"std"}
    assert fields({"scheme": "constant", "value": 2.0}) == {"value": 0.3}


def test_another_scheme_where_there_is_no_such_field():
    for init in ({"scheme": "uniform", "low": -1.0, "high": 1.0}, "torch"):
        assert fields(init) == {"scheme": "lecun", "gain": 1.2}


def test_what_no_scheme_reaches():
    """A mean of 1 leaves no root mean square below 1, and the replacement counts fans, which a vector lacks."""
    plan = mf.plan(chain("LayerNorm", shape=[8], init={"scale": {"scheme": "uniform", "low": 1.0, "high": 2.0}}))
    assert retuned(plan.parameter("layernorm0.weight"), 0.1) is None
