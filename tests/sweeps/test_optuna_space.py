"""A search space in Hydra's words."""

from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from modelforge.core.errors import ForgeError
from modelforge.sweeps.optuna_space import MAX_CORNERS, read_space


@pytest.mark.parametrize(
    ("values", "distribution"),
    [("interval(1, 5)", FloatDistribution(1, 5)),
     ("int(interval(1, 5))", IntDistribution(1, 5)),
     ("tag(log, interval(1e-4, 1e-1))", FloatDistribution(1e-4, 1e-1, log=True)),
     ("tag(log, int(interval(1, 64)))", IntDistribution(1, 64, log=True)),
     ("range(1, 10, 3)", IntDistribution(1, 7, step=3)),  # without its end, as in Python
     ("range(5, 1, -2)", IntDistribution(3, 5, step=2)),
     ("range(0, 1, 0.25)", FloatDistribution(0, 0.75, step=0.25)),
     ("range(0, 1, 0.3)", FloatDistribution(0, 0.9, step=0.3)),
     ("range(1, 0, -0.1)", FloatDistribution(0.1, 1, step=0.1)),
     ("range(-1, 1, 0.1)", FloatDistribution(-1, 0.9, step=0.1)),
     ("range(0, 1e-3, 1e-4)", FloatDistribution(0, 9e-4, step=1e-4)),
     ("choice(1, 2.5, a)", CategoricalDistribution(["1", "2.5", "a"])),
     ("'x y',null,[1,2]", CategoricalDistribution(["'x y'", "null", "[1,2]"])),
     ("shuffle(b, a)", CategoricalDistribution(["a", "b"]))],
)  # fmt: skip
def test_values_as_a_distribution(values: str, distribution):
    assert read_space([f"key={values}"]).open == {"key": distribution}


@pytest.mark.parametrize(
    ("override", "reason"),
    [("a=interval(5, 1)", "`low <= high` must hold"), ("a=tag(log, interval(0, 1))", "`low > 0` must hold"),
     ("a=tag(log, choice(1, 2))", "`log` is a tag of intervals"), ("a=range(1, 5, 0)", "must not be zero"),
     ("a=range(5, 1)", "stands for no value"), ("a=interval(1, 2), 3", "a list holds single values only"),
     ("a=1", "a search needs a key with several values")],
)  # fmt: skip
def test_what_is_no_space(override: str, reason: str):
    with pytest.raises(ForgeError, match="MF001") as error:
        read_space([override])
    assert reason in str(error.value)


def test_the_last_override_of_a_key_counts():
    space = read_space(["a=interval(0, 1)", "b=1,2", "a=0.5", "b=3,4"])
    assert space.fixed == ("a=0.5",)
    assert space.written == {"b": "b=3,4"}
    assert space.open == {"b": CategoricalDistribution(["3", "4"])}


def test_a_key_in_two_spellings_is_no_two_keys():
    """The value of the command line would come first in each trial, and that of the space would count."""
    with pytest.raises(ForgeError, match="`a` is set again, so that `a=interval\\(0, 1\\)` has no effect"):
        read_space(["a=interval(0, 1)", "b=1,2", "++a=3"])
    assert read_space(["+a=3", "a=1,2"]).fixed == ("+a=3",)


def test_a_point_as_overrides():
    space = read_space(["init.gain=interval(0, 1)", "+model.n=int(interval(1, 9))", "init='x y',z", "seed=1"])
    point = {"init.gain": 1e-05, "+model.n": 3, "init": "'x y'"}
    assert space.overrides(point) == ("seed=1", "init.gain=1e-05", "+model.n=3", "init='x y'")


def test_the_values_of_a_key():
    space = read_space(["a=int(interval(1, 4))", "b=1,null", "c=1"])
    assert [space.values(key) for key in "abc"] == [(1, 4), ("1", "null"), ()]


def test_corners_hold_each_option_first_and_then_all_pairs():
    space = read_space(["a=x,y,z", "b=1,2", "c=interval(0.5, 2)", "d=range(4, 9, 2)", "model=mlp"])
    corners = ["".join(map(str, point.values())) for point in space.corners()]
    assert corners == ["x10.54", "y20.54", "z10.54", "x20.54", "y10.54", "z20.54"]
    assert not space.has_more_corners
    large = read_space([f"{key}={','.join('0123456')}" for key in "abcdefghijkl"])
    assert [*large.corners()][6] == dict.fromkeys("abcdefghijkl", "6")
    assert len([*large.corners()]) == MAX_CORNERS
    assert large.has_more_corners
