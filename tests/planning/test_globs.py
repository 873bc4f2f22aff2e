"""Globs match as `fnmatch` does, whatever their ends."""

from __future__ import annotations

from fnmatch import fnmatchcase
from random import Random

from modelforge.planning.globs import Globs

PIECES = ("a", "b", ".", "*", "?", "[ab]", "[!a]", "[", "]", "1", "weight")


def test_globs_match_as_fnmatch_does():
    random = Random(0)

    def text(pieces: tuple[str, ...]) -> str:
        return "".join(random.choices(pieces, k=random.randint(1, 6)))

    for _ in range(300):
        globs = list(dict.fromkeys(text(PIECES) for _ in range(8)))
        for name in (text(("a", "b", ".", "1", "weight")) for _ in range(8)):
            assert Globs(globs).matching(name) == [glob for glob in globs if glob == name or fnmatchcase(name, glob)]


def test_of_several_names_one_must_match_and_the_order_is_that_of_the_globs():
    assert Globs(["b.*", "*.x", "a.*"]).matching("a.y", "b.y") == ["b.*", "a.*"]


def test_globs_for_other_layers_are_not_compared():
    globs = Globs([f"layer{index}.*" for index in range(100, 200)])
    assert globs.matching("layer150.weight") == ["layer150.*"]
    assert globs.num_compared == 2
