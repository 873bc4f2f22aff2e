"""Numbers in words: the same everywhere."""

from __future__ import annotations


def count(value: int) -> str:
    """
    >>> count(1234567)
    '1,234,567'
    """
    return f"{value:,}"


def number(value: float | None) -> str:
    """Four significant digits, or a dash for what is not known.

    >>> number(0.08838834764), number(0.0), number(None), number(1e-9)
    ('0.08839', '0', '-', '1e-09')
    """
    return "-" if value is None else f"{value:.4g}"
