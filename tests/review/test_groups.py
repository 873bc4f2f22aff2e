"""grouped: copies that are alike take one line, and a label never claims more than it holds."""

from __future__ import annotations

import re
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from modelforge.review.groups import grouped


def labels(paths, alike=lambda path: 0):
    return [(group.label, group.count) for group in grouped(paths, str, alike)]


def test_a_gap_is_shown():
    assert labels(["a.0.w", "a.2.w", "a.11.w"]) == [("a.{0,2,11}.w", 3)]


def test_two_numbers():
    assert labels(["a.0.b.0", "a.0.b.1", "a.1.b.0", "a.1.b.1"]) == [("a.[0-1].b.[0-1]", 4)]


def test_what_is_not_a_product_stays_apart():
    assert labels(["a.0.b.0", "a.1.b.1"]) == [("a.0.b.0", 1), ("a.1.b.1", 1)]


def test_what_differs_stays_apart():
    assert labels(["a.0", "a.1", "a.2"], lambda path: path == "a.1") == [("a.{0,2}", 2), ("a.1", 1)]


@given(st.sets(st.tuples(st.sampled_from("ab"), st.integers(0, 12), st.integers(0, 3)), min_size=1))
def test_labels_hold_exactly_the_paths(parts):
    paths = [f"{name}.{first}.x.{second}" for name, first, second in sorted(parts)]
    expanded = [path for label, _ in labels(paths) for path in expand(label)]
    assert sorted(expanded) == sorted(paths)


def expand(label: str) -> list[str]:
    """All paths that a label stands for."""
    return [".".join(parts) for parts in product(*(options(part) for part in label.split(".")))]


def options(part: str) -> list[str]:
    if span := re.fullmatch(r"\[(\d+)-(\d+)\]", part):
        return [str(number) for number in range(int(span[1]), int(span[2]) + 1)]
    return part[1:-1].split(",") if part.startswith("{") else [part]
