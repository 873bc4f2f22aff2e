"""The kinds of changes: each has a name for headings, and says why it matters."""

from __future__ import annotations

import pytest

from modelforge.review.kinds import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_why_it_matters_in_one_sentence(kind: str):
    why = KINDS[kind].why
    assert why[0].isupper() or why[0] == "`"
    assert why.endswith(".")
    assert why.count(". ") == 0
    assert len(why) <= 100


def test_each_kind_has_a_name_of_its_own_in_words():
    names = [kind.name for kind in KINDS.values()]
    assert len(set(names)) == len(names)
    assert not any("-" in name or len(name) > 50 for name in names)
