"""Docstrings as plain text."""

from __future__ import annotations

from modelforge.report.docs import argument_docs, summary


class Documented:
    r"""Doubles, as in e.g. :func:`twice`. Then more.

    Longer.

    Args:
        size (int): how :math:`\text{large}` it is.
            Over two lines. Default: 3
        other: the ``other`` one

    Shape:
        - Input: not an argument
    """


class Inherits(Documented):
    """Less."""


class Silent(Documented):
    pass


def test_summary():
    assert summary(Documented) == "Doubles, as in e.g. twice."
    assert summary(Inherits) == "Less."
    assert summary(Silent) == ""


def test_arguments():
    expected = {"size": "how large it is. Over two lines.", "other": "the `other` one"}
    assert argument_docs(Documented) == argument_docs(Inherits) == argument_docs(Silent) == expected
