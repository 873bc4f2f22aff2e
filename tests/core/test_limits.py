"""What no config can hold: too deep, too large, or nothing that can be printed."""

from __future__ import annotations

from typing import Any

import pytest

from modelforge.core import limits
from modelforge.core.limits import MAX_DIGITS, MAX_NESTED, MAX_TEXT, fault, unfit


def nested(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return {"model": value}


@pytest.mark.parametrize("value", ["", "x" * MAX_TEXT, 10**MAX_DIGITS - 1, -(10**MAX_DIGITS) + 1, "ä\n", 1e300, None])
def test_what_a_config_can_hold(value: Any):
    assert fault(value) is None
    assert unfit({"a": [value]}) == []


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ("x" * (MAX_TEXT + 1), "MF060", "a text has at most 10,000 characters, and this has 10,001"),
        (10**MAX_DIGITS, "MF062", "a whole number has at most 300 digits, and this has more"),
        (-(10**MAX_DIGITS), "MF062", "a whole number has at most 300 digits, and this has more"),
        ("a\0", "MF062", "a text holds a null character, which file names and terminals cannot hold"),
        ("\udc80", "MF062", "a text holds a lone surrogate, `\\udc80`, which file names and terminals cannot hold"),
    ],
)
def test_a_value_that_is_refused_is_found_at_its_key(value: Any, code: str, message: str):
    (problem,) = unfit({"model": {"layers": [1, {"a": value}]}})
    assert (problem.code, problem.key, problem.message) == (code, "model.layers.1.a", message)


def test_a_name_that_is_refused_has_the_key_around_it():
    (problem,) = unfit({"model": {"\0": 1}})
    assert (problem.code, problem.key) == ("MF062", "model")


def test_a_config_is_as_deep_as_allowed_and_no_deeper():
    assert unfit(nested(MAX_NESTED - 1)) == []
    (problem,) = unfit(nested(MAX_NESTED))
    assert (problem.code, problem.key) == ("MF060", "model")
    assert unfit(nested(100_000))[0].code == "MF060"


def test_values_are_counted_as_often_as_they_are_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_VALUES", 10)
    row = [1, 2, 3]
    assert unfit({"a": row, "b": row}) == []
    (problem,) = unfit({"a": row, "b": row, "c": row})
    assert (problem.code, problem.key) == ("MF060", "")
