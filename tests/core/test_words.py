"""Numbers, places and values in words."""

from __future__ import annotations

from typing import Any

import pytest

from modelforge.core.errors import Place
from modelforge.core.words import cut, digits, magnitude, number, plural, shape, short, stored, value, where


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (1 / 3, "0.333333"),
        (1e-3, "0.001"),
        (float("inf"), "inf"),
        ([True, None, [1.5, "a"]], "[true, null, [1.5, a]]"),
        ({"a": {"b": ()}}, "{a: {b: []}}"),
        ("two\nlines", "two\\nlines"),
    ],
)
def test_a_value_is_written_as_in_yaml(given: Any, text: str):
    assert value(given) == text


@pytest.mark.parametrize(
    ("given", "text"), [(999, "999"), (1_000, "1.00 k"), (999_499, "999 k"), (12_345_678, "12.3 M"), (10**12, "1.00 T")]
)
def test_a_large_number_has_three_digits_and_a_prefix(given: int, text: str):
    assert magnitude(given) == text


def test_numbers_are_rounded_to_what_is_shown():
    assert [number(one) for one in (1.0, 12345.678, -0.5, None)] == ["1", "1.235e+04", "-0.5", "-"]
    assert [digits(one) for one in (1.0, 0.099999999, -2.5)] == ["1.0000", "0.10000", "-2.5000"]


def test_nouns_have_a_plural():
    assert [plural(2, noun) for noun in ("layer", "entry", "bias")] == ["2 layers", "2 entries", "2 biases"]


def test_a_long_text_keeps_both_ends():
    assert cut("x" * 60) == "x" * 60
    long = cut("a" * 50 + "b" * 50)
    assert (len(long), long[0], long[-1], " … " in long) == (59, "a", "b", True)


def test_a_mapping_is_cut_where_more_than_one_value_would_be_left_out():
    assert short(dict.fromkeys("abcd", 1)) == "{a: 1, b: 1, c: 1, d: 1}"
    assert short(dict.fromkeys("abcde", 1)) == "{a: 1, b: 1, c: 1, ...: 2 more}"
    assert short([1, 2, 3, 4, 5, 6]) == "[1, 2, 3, 4, 5, 6]"


def test_shapes_say_whether_they_are_transposed():
    assert (shape(()), shape((3,)), stored((3, 4), (0, 1))) == ("scalar", "3", "3×4 (transposed)")


def test_a_place_cannot_drive_the_terminal():
    assert where(Place("a\x1b.yaml", 2)) == "a\\x1b.yaml:2"
    assert where(Place(override="a=" + "x" * 200)).endswith("x" * 28)
