"""Ticks: two ends of an axis → round numbers between them, and their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

MAX_TICKS = 6
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def ticks(low: float, high: float, most: int = MAX_TICKS, steps: Sequence[int] = (1, 2, 5, 10)) -> list[float]:
    """Round numbers between two ends.

    >>> ticks(0, 10), ticks(-9.2, 0.3), ticks(0, 0.07), ticks(0, 1e-13, most=3)
    ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [-8.0, -6.0, -4.0, -2.0, 0.0], [0.0, 0.02, 0.04, 0.06], [0.0, 5e-14, 1e-13])
    """
    raw = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(factor for factor in steps if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    digits = 2 - math.floor(math.log10(raw))
    return [round(index * step, digits) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _within_a_decade(low: float, high: float) -> list[float]:
    """Logarithms of round numbers between two with few powers of ten between them: 1, 2 and 5.

    >>> [round(10**mark, 3) for mark in _within_a_decade(-0.7, 0.4)]
    [0.2, 0.5, 1.0, 2.0]
    """
    powers = range(math.floor(low), math.ceil(high) + 1)
    marks = [power + math.log10(factor) for power in powers for factor in (1, 2, 5)]
    return [mark for mark in marks if low <= mark <= high]


def marks_between(ends: tuple[float, float], log: bool, most: int) -> list[float]:
    """Where an axis has labels, two or more; logarithms where it is logarithmic: powers of ten, else finer ones.

    >>> marks_between((-0.08, 0.08), False, 4)
    [-0.05, 0.0, 0.05]
    """
    if not log:
        marks = ticks(*ends, most=most)
        return marks if len(marks) > 1 else ticks(*ends, most=2 * most)
    marks = ticks(*ends, most=most, steps=(1, 2, 3, 4, 5, 10))
    powers = sorted({float(round(mark)) for mark in marks if ends[0] <= round(mark) <= ends[1]})
    finer = _within_a_decade(*ends)
    return powers if len(powers) > 1 else finer if len(finer) > 1 else marks


def tick_labels(marks: Sequence[float], *, log: bool) -> Sequence[str]:
    """The labels of an axis, whose marks may be logarithms: as few digits as keep them apart.

    >>> tick_labels([-9, 0, 1.30103], log=True), tick_labels([0.5, 10], log=False)
    (['10⁻⁹', '1', '20'], ['0.5', '10'])
    >>> tick_labels([0.12341, 0.12342], log=False)
    ['0.12341', '0.12342']
    """
    tries = ([_label(mark, digits, log) for mark in marks] for digits in range(3 if log else 4, 17))
    return next((labels for labels in tries if len({*labels}) == len(labels)), [*map(str, marks)])


def _label(mark: float, digits: int, log: bool) -> str:
    if not log:
        return f"{mark:.{digits}g}"
    if mark == round(mark) and abs(mark) >= 2:
        return "10" + str(round(mark)).translate(_SUPERSCRIPTS)
    return f"{float(f'{10.0**mark:.{digits}g}'):.{digits + 1}g}"
