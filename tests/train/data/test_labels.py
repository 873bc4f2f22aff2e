"""Labels → classes: what is not a class is told, with its row."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from modelforge.train.data.labels import encode, ordered


@pytest.mark.parametrize(
    ("labels", "says", "way"),
    [
        ([0.0, np.nan, 1.0], "row 2 of the target of it has nan", "leave such rows out"),
        ([0.0, 1.0, np.inf], "row 3 of the target of it has inf", "leave such rows out"),
        ([0.0, 1.0, 0.5], "row 3 of the target of it has 0.5", "data.task=regression"),
        ([1, 1, 1], "all examples of it are of one class", "bring examples of others"),
        (["a", "a"], "all examples of it are of one class", "bring examples of others"),
    ],
)
def test_what_is_no_class(labels, says, way):
    _, (problem,) = encode(np.array(labels), 2, "it")
    assert says in problem.message
    assert way in problem.hint


def test_whole_numbers_and_names_are_classes():
    for labels in ([0, 1, 0], [0.0, 1.0, 0.0], ["0", "1", "0"], ["no", "yes", "no"], [False, True, False]):
        found, problems = encode(np.array(labels), 2, "it")
        assert found.classes.tolist() == [0, 1, 0]
        assert not problems


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["3.1", "3.10", "3.2", "3.11"], ["3.1", "3.10", "3.11", "3.2"]),
        (["2134", "02134", "10001"], ["02134", "2134", "10001"]),
        (["9007199254740993", "9007199254740992"], ["9007199254740992", "9007199254740993"]),
        (["1e400", "2e400", "5"], ["5", "1e400", "2e400"]),
        (["-1e-400", "0", "-0", "1e-400"], ["-1e-400", "-0", "0", "1e-400"]),
        (["1e999999999999999999999", "2", "10"], ["10", "1e999999999999999999999", "2"]),  # no Decimal: text
        (["10", "9", "inf"], ["10", "9", "inf"]),
        (["None", "minor", "major"], ["None", "major", "minor"]),
        (["\u00e9", "e\u0301", "e"], ["e", "e\u0301", "\u00e9"]),
        ([" cat", "cat"], [" cat", "cat"]),
        ([9007199254740993, 9007199254740992], [9007199254740992, 9007199254740993]),
        ([1, 2, 3], [1, 2, 3]),
        ([30, 10, 20], [10, 20, 30]),
        ([1, -1], [-1, 1]),
        ([1e300, 1e301], [1e300, 1e301]),
        ([2**64 - 1, 2**64 - 2], [2**64 - 2, 2**64 - 1]),
        ([10**30, 10**30 + 1], [10**30, 10**30 + 1]),
    ],
    ids=repr,
)
def test_distinct_names_are_distinct_classes_in_their_order(names, order):
    assert ordered(names) == order
    kinds = [names] if max(map(str, names), key=len) > "1" * 19 else [names, np.array(names)]
    for labels in kinds:
        found, problems = encode(labels, len(names), "it")
        assert not problems
        assert list(found.names) == order
        assert [order[label] for label in found.classes] == names
        _, (problem,) = encode(labels, len(names) - 1, "it")
        assert (problem.key, problem.hint) == ("data.num_outputs", f"write `data.num_outputs={len(names)}`")


def test_whole_numbers_from_0_are_classes_as_they_are():
    found, problems = encode(np.array([0, 3, 1], np.uint8), 5, "it")
    assert not problems
    assert (found.classes.tolist(), found.names) == ([0, 3, 1], (0, 1, 2, 3, 4))


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ([1, "1", 2], "row 2 of the target of it has '1' where row 1 has 1"),
        ([1, True, 2], "row 2 of the target of it has True where row 1 has 1"),
        (["a", None], "row 2 of the target of it has no value"),
        ([{"a": 1}, {"a": 2}], "row 1 of the target of it has a value of type dict"),
        ([[1], [2]], "row 1 of the target of it has a value of type list"),
        ([date(2026, 1, 1), date(2026, 1, 2)], "row 1 of the target of it has a value of type date"),
        (np.array([1 + 2j, 3]), "row 1 of the target of it has a value of type complex128"),
        (np.array(["2026-01-01"], "datetime64[D]"), "row 1 of the target of it has a value of type datetime64"),
        (np.array([1, 2], "timedelta64[s]"), "row 1 of the target of it has a value of type timedelta64"),
        (np.array([(1, 2)], "i4,i4"), "row 1 of the target of it has a value of type void"),
        (np.array([b"a", b"\xff"]), "row 2 of the target of it has a value of type bytes"),
    ],
    ids=repr,
)
def test_what_is_neither_a_name_nor_a_whole_number(labels, what):
    _, (problem,) = encode(labels, 2, "it")
    assert (problem.code, problem.key) == ("MF053", "data.target")
    assert problem.message == f"classes are whole numbers or names, but {what}"
    assert problem.hint == "give every class a name, or a whole number"


def test_bytes_are_names():
    found, problems = encode(np.array([b"cat", b"dog", b"cat"]), 2, "it")
    assert not problems
    assert found.names == ("cat", "dog")
