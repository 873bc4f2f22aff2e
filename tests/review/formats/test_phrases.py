"""Phrases: what was compared, and where a change shows."""

from __future__ import annotations

import pytest

from modelforge.review.document import Compared, NotCompared, Spot
from modelforge.review.formats.phrases import compared, fit, in_entries, sides, some
from tests.review.formats.test_markdown import document


def test_what_was_compared_is_counted():
    facts = Compared(
        entries=("a", "b"), num_entries=2, num_files=9, num_changed_files=1, num_values=80, num_unaffected=3
    )
    missing = (NotCompared(name="x", reason="why"), NotCompared(name="y", reason="why"))
    shown = document(compared=facts, not_compared=missing, num_not_compared=5)
    assert compared(shown) == [
        "compared: 9 files, of which 1 differs; 2 compositions (a and b) with 80 values; 3 more do not read it",
        "not compared: x and y (why)",
        "not compared: 3 more",
    ]


def test_nothing_is_said_where_all_is_equal():
    facts = Compared(entries=("a",), num_entries=1, num_files=9)
    assert compared(document(equal=True, compared=facts)) == []


def test_some_of_many_labels():
    assert some(["a", "b", "c", "d"], 4) == "a, b, c and d"
    assert some(["a", "b", "c", "d"], 5) == "a, b, c and 2 more"


@pytest.mark.parametrize(
    ("labels", "total", "words"), [(("a",), 1, "in a"), (("a", "b"), 2, "in all compositions"), ((), 0, "")]
)
def test_in_which_compositions(labels: tuple[str, ...], total: int, words: str):
    assert in_entries(labels, total, document()) == words


def test_two_places():
    one, other = Spot(words="a.yaml:2", file="a.yaml", line=2), Spot(words="b.yaml:3", file="b.yaml", line=3)
    assert (fit(one, one), fit(one, other)) == ("a.yaml:2", "a.yaml:2 → b.yaml:3")


def test_a_hash_is_cut_for_people():
    assert sides(document(old="0123456789abcdef0123456789abcdef01234567")) == ("0123456789ab", "new")
