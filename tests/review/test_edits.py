"""Where two sides write something else, and one side with some of that."""

from __future__ import annotations

import time
from itertools import permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelforge.review.edits import applied, edits, moved_name, moves
from modelforge.review.values import ABSENT, exact


def kinds(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str]]:
    return [(edit.kind, ".".join(edit.path)) for edit in edits(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, [("set", "a")]),
        ({"a": [1, 2]}, {"a": [2, 1]}, [("set", "a")]),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": {"d": 2}}}, [("added", "a.c")]),
        ({"a": {"b": 1}}, {"a": 1}, [("set", "a")]),
        ({"a": {"b": 1}, "c": 2}, {"x": {"b": 1}, "c": 2}, [("renamed", "x")]),
        ({"a": 1}, {"x": 1}, [("added", "x"), ("removed", "a")]),
        ({"a": {"b": 1, "c": 2}}, {"x": {"b": 1, "c": 3}}, [("renamed", "x")]),
        ({"a": {"b": 1}}, {"x": {"b": 2}}, [("added", "x"), ("removed", "a")]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, [("moved", "")]),
    ],
)
def test_the_outermost_key_that_differs_is_an_edit(old: dict[str, Any], new: dict[str, Any], found: list[Any]):
    assert kinds(old, new) == found


def test_a_side_without_the_key_has_no_value():
    (edit,) = edits({}, {"a": None})
    assert (edit.old, edit.new) == (ABSENT, None)


def test_a_renamed_key_reaches_both_names():
    (edit,) = edits({"a": {"b": 1}}, {"x": {"b": 1}})
    assert edit.reaches(("a", "b"))
    assert edit.reaches(("x",))
    assert not edit.reaches(("b",))


def test_moved_keys_reach_their_order_alone():
    one, other = {"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 3}}
    value, order = edits(one, other)
    assert value.reaches(("a", "b"))
    assert not order.reaches(("a", "b"))
    assert order.reaches(("a",))


DATA = st.recursive(
    st.integers(0, 2) | st.sampled_from(["s", "t"]),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(st.sampled_from("abcd"), DATA, max_size=4)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(MAPPINGS, MAPPINGS)
def test_all_edits_together_make_the_new_side(old: dict[str, Any], new: dict[str, Any]):
    made = applied(old, list(edits(old, new)), new)
    assert list(edits(made, new)) == []
    assert list(edits(old, old)) == []


def test_the_time_grows_with_the_number_of_keys_not_with_its_square(monkeypatch: pytest.MonkeyPatch):
    """Each value is written out as often for one key as for many."""

    def num_written(number: int) -> float:
        calls = 0

        def counting(value: object) -> str:
            nonlocal calls
            calls += 1
            return exact(value)

        monkeypatch.setattr("modelforge.review.edits.exact", counting)
        old, new = ({"layers": {f"{side}{n}": {"n": f"{side}{n}"} for n in range(number)}} for side in "ab")
        found = list(edits(old, new))
        assert len(moves(found)) == len(found) == 2 * number
        return calls / number

    assert num_written(100) == pytest.approx(num_written(10), rel=0.2)


def test_keys_with_one_value_are_renamed_in_their_order():
    old, new = ({name: {"x": 1} for name in names} for names in ("abc", "xyb"))
    assert kinds(old, new) == [("renamed", "x"), ("renamed", "y"), ("moved", "")]
    assert [edit.old_path for edit in edits(old, new)][:2] == [("a",), ("c",)]


def test_a_key_that_went_is_with_the_first_mapping_that_holds_it():
    inner = {"b": 1}
    old, new = {"a": inner}, {"x": {"layers": {"a": inner}, "c": 1}, "y": {"a": inner}}
    groups = [[".".join(edit.path) for edit in group] for group in moves(list(edits(old, new)))]
    assert groups == [["x", "a"], ["y"]]


def test_the_name_that_moved_is_the_first_without_which_both_orders_are_equal():
    def without(names, name):
        return [other for other in names if other != name]

    old = list("abcd")
    orders = [list(order) for size in (3, 4) for order in permutations(old, size) if list(order) != old]
    for new in orders:
        assert moved_name(old, new) == next((name for name in new if without(old, name) == without(new, name)), "")
    names = [str(number) for number in range(20_000)]
    assert moved_name(names, [*names[1:], names[0]]) == "0"  # in no time that grows with the square


def test_many_keys_that_came_are_placed_in_one_go():
    """Each was put into all others: of 4,000 keys, that took seconds."""
    seconds = {}
    for size in (2_000, 8_000):
        old = {f"old{number}": number for number in range(size)}
        new = {name: number for name, number in old.items() for name in (name, f"new{number}")}
        chosen = list(edits(old, new))
        times = []
        for _ in range(3):
            started = time.process_time()
            assert list(applied(old, chosen, new)) == list(new)
            times.append(time.process_time() - started)
        seconds[size] = min(times)
    assert seconds[8_000] < 10 * seconds[2_000]  # 4 times as many; a quadratic one took 16 times as long
