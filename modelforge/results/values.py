"""Swept values: numbers or names, their order, and few digits that keep them apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

MAX_LENGTH = 8
"""Characters of a number that is shown as it was written."""
DIGITS = range(5, 17)
"""Significant digits of a longer one: as few of them as keep all values of a key apart."""


def as_number(text: str) -> float | None:
    """The number that a swept value is; None for a name.

    A job has numbers without underscores: with them a value is a text, such as a month.

    >>> as_number("1e-3"), as_number("xavier"), as_number("nan"), as_number("true"), as_number("2024_01")
    (0.001, None, None, None, None)
    """
    try:
        found = float(text)
    except ValueError:
        return None
    return found if abs(found) < float("inf") and "_" not in text else None


def in_order(values: Sequence[str]) -> list[str]:
    """Values of an axis: numbers upwards where all are, else as they came.

    >>> in_order(["10", "9", "1e-3"]), in_order(["b", "a"])
    (['1e-3', '9', '10'], ['b', 'a'])
    """
    numbers = [as_number(value) for value in values]
    if any(number is None for number in numbers):
        return [*values]
    return [value for _, value in sorted(zip(numbers, values, strict=True), key=lambda pair: pair[0] or 0.0)]


def shortened(values: Collection[str]) -> Mapping[str, str]:
    """How the values of one key are shown: long numbers with few digits, but no two values alike.

    >>> shortened(["0.9958399825029756", "1e-3", "20261127101500", "torch", "12345678.5"]).values()
    dict_values(['0.99584', '1e-3', '20261127101500', 'torch', '12345678'])
    >>> shortened(["0.99583998250", "0.99584112250"]).values()
    dict_values(['0.99584', '0.995841'])
    """
    long = {
        value: number
        for value in values
        if "." in value and len(value) > MAX_LENGTH and (number := as_number(value)) is not None
    }
    for digits in DIGITS:
        found = {value: _rounded(value, long[value], digits) if value in long else value for value in values}
        if len(set(found.values())) == len(found):
            return found
    return {value: value for value in values}


def _rounded(value: str, number: float, digits: int) -> str:
    """The number with so many digits, and all before the point unless it was written with an exponent."""
    before = 0 if "e" in value.lower() else len(f"{abs(number):.0f}")
    return f"{number:.{max(digits, before)}g}"
