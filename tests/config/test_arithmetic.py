"""calc: arithmetic and nothing else, whatever is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelforge.config.arithmetic import calculate, names_in
from modelforge.config.templates import fill, is_template, names_of
from modelforge.core.errors import Refusal

NAMES = {"width": 64, "depth": 12, "rate": 0.1, "act": "ReLU", "flag": True}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("4 * width", 256),
        ("width // 3", 21),
        ("width / 4", 16.0),
        ("-(width % 10) + 2 ** 3", 4),
        ("max(width, depth, 100)", 100),
        ("min(width, depth)", 12),
        ("round(rate * 37)", 4),
        ("round(2 / 3, 2)", 0.67),
        ("rate * 2 / depth", 0.1 * 2 / 12),
        ("1_000 * +1", 1000),
    ],
)
def test_it_calculates(expression: str, value: float):
    result = calculate(expression, NAMES)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("__import__('os')", "`__import__('os')` cannot be calculated"),
        ("width.real", "`width.real` cannot be calculated"),
        ("(lambda: 1)()", "`(lambda: 1)()` cannot be calculated"),
        ("[1][0]", "`[1][0]` cannot be calculated"),
        ("1 if flag else 2", "`1 if flag else 2` cannot be calculated"),
        ("max(*width)", "`*width` cannot be calculated"),
        ("max(width, key=1)", "`max(width, key=1)` cannot be calculated"),
        ("max(width)", "`max` takes two numbers or more"),
        ("round(width, 0.5)", "`round` takes a number, and digits"),
        ("'a' * 3", "`'a'` is not a number"),
        ("True + 1", "`True` is not a number"),
        ("wide", "there is no argument `wide` here"),
        ("act + 1", "`act` must be a number to calculate with, but is 'ReLU'"),
        ("flag + 1", "`flag` must be a number to calculate with, but is True"),
        ("4 *", "`4 *` is not arithmetic"),
        ("", "`` is not arithmetic"),
        ("1 / (width - 64)", "`1 / (width - 64)` divides by zero"),
        ("9 ** 9 ** 9", "9 to the power of 387420489 is not a size"),
        ("(-8) ** 0.5", "-8 to the power of 0.5 is not a size"),
        ("2 ** 64", "the result is too large"),
        ("1e308 * 10", "the result is too large"),
        ("9" * 150, "the result is too large"),
        ("1 + " * 60 + "1", "an expression may have 200 characters, and this has 241"),
    ],
)
def test_it_refuses(expression: str, reason: str):
    with pytest.raises(Refusal) as caught:
        calculate(expression, NAMES)
    assert caught.value.reason == reason


@given(st.text(max_size=60) | st.text("0123456789.+-*/%()w, maxinroud", max_size=60))
def test_it_gives_a_size_or_says_why_not(expression: str):
    names_in(expression)
    try:
        value = calculate(expression, {"w": 8})
    except Refusal:
        return
    assert isinstance(value, int | float)
    assert abs(value) <= 2**63


def test_templates_become_values_of_any_type():
    assert fill("${arg:act}", NAMES) == "ReLU"
    assert fill("${ arg: flag }", NAMES) is True
    assert fill("${calc: 2 * depth }", NAMES) == 24
    assert fill("${calc:'2 * depth'}", NAMES) == 24
    assert fill("conv${arg:width}x${calc:depth}", NAMES) == "conv64x12"


def test_what_is_a_template():
    assert is_template("${arg:x}")
    assert is_template('a ${calc:"x + 1"} b')
    assert not any(map(is_template, ["${a.b}", "arg:x", "${oc.env:HOME}", 3, None]))


def test_names_are_looked_for_everywhere():
    inside = {"a": [{"b": '${calc:"2 * (index + 1)"}'}], "c": "${arg:width}"}
    assert names_of(inside) == {"index", "width"}
    assert names_of({"a": "index"}) == frozenset()
