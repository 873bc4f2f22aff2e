"""Arguments of a callable from a config: names, types, enums by their values, and what is missing."""

from __future__ import annotations

from enum import Enum

import pytest
from pydantic import ValidationError

from modelforge.train.arguments import check_arguments, fit


class Policy(Enum):
    """A choice."""

    SLOW = "slow"
    FAST = "fast"


def make(
    size: tuple[int, int], policy: Policy = Policy.SLOW, *, name: str = "", secret: int = 0, times: int = 1
) -> None:
    """Something with arguments."""


def test_what_fits_is_ready_to_pass():
    ready, problems = check_arguments(make, {"size": [2, 3], "policy": "fast"}, "data.x", reserved={})
    assert (ready, problems) == ({"size": (2, 3), "policy": Policy.FAST}, [])


def test_everything_that_is_wrong_at_once():
    values = {"policy": "fats", "nam": "a", "name": 3, "secret": 1, "times": 1e3}
    _, problems = check_arguments(make, values, "data.x", reserved={"secret": "it is counted"})
    assert [(problem.key, problem.message, problem.hint) for problem in problems] == [
        ("data.x.policy", "`policy` of make must be 'slow' or 'fast', but is 'fats'", ""),
        ("data.x.nam", "make has no argument `nam`", "did you mean `name`?"),
        ("data.x.name", "`name` of make must be a string, but is 3", ""),
        ("data.x.secret", "`secret` of make is not for a config to set", "it is counted"),
        ("data.x.times", "`times` of make must be a whole number, but is 1000.0", "write `1000`"),
        ("data.x", "make needs the argument `size`", "add `size: ...`"),
    ]


@pytest.mark.parametrize(("value", "kind"), [(1.5, int), ("1", int), (True, float), ([1, 2, 3], tuple[int, int])])
def test_values_are_not_converted(value: object, kind: object):
    with pytest.raises(ValidationError):
        fit(value, kind)
