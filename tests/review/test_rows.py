"""Rows: what differs in layers and parameters, equal copies together, and what the edit itself says only once."""

from __future__ import annotations

import pytest

import modelforge as mf
from modelforge.core.errors import Place
from modelforge.review.diff import diff
from modelforge.review.document import MAX_TEXT
from modelforge.review.rows import bounded, rows, spot, value_rows
from modelforge.review.values import ABSENT, ValueChange

HIDDEN = {"type": "Linear", "out_features": 4}


def test_parameters_have_their_std_and_what_else_differs(plan):
    init = {"scheme": "orthogonal", "gain": 2.0}
    found = list(rows(diff(plan(hidden=HIDDEN), plan(init, hidden=HIDDEN))))
    (row,) = found
    assert (row.name, row.type, row.ratio, row.words) == ("hidden.weight", "4×8", 2.0, "gain 1 → 2")


def test_what_the_edit_says_is_not_repeated(plan):
    init = {"scheme": "orthogonal", "gain": 2.0}
    edit = ValueChange("init.gain", 1.0, 2.0, path=("init", "gain"))
    (row,) = rows(diff(plan(hidden=HIDDEN), plan(init, hidden=HIDDEN)), edit)
    assert row.words == ""


def test_a_wider_layer_has_other_sizes(plan):
    found = list(rows(diff(plan("xavier", hidden=HIDDEN), plan("xavier", hidden={**HIDDEN, "out_features": 8}))))
    row = next(row for row in found if row.name == "hidden.weight")
    assert (row.type, row.words) == ("4×8 → 8×8", "fan 6 → 8")


def test_another_dtype(plan):
    raw = {"model": {"input": {"shape": [3]}, "layers": {"hidden": HIDDEN}}, "init": "xavier"}
    old, new = (mf.plan(mf.parse({**raw, **more})) for more in ({}, {"dtype": "bfloat16"}))
    row = next(row for row in rows(diff(old, new)) if row.subject == "parameter")
    assert row.words == "as bfloat16 in place of float32"


@pytest.mark.parametrize(
    ("scheme", "sizes"),
    [("orthogonal", "; rows 4 → 40"), ("xavier", "; fan 6 → 24"), ("kaiming", "")],
)
def test_a_std_with_two_causes_names_both(plan, scheme, sizes):
    """Kaiming's fan is the input's, which stays."""

    def side(number: float, width: int):
        return plan({"scheme": scheme, "gain": number}, a={"type": "Linear", "out_features": width, "bias": False})

    found = diff(side(1.0, 4), side(2.0, 40))
    row = next(row for row in rows(found) if row.name == "a.weight")
    assert row.words == f"gain 1 → 2{sizes}"


def test_equal_copies_are_one_row(plan):
    block = {"type": "Repeat", "times": 3, "layers": {"b": {"type": "Linear", "out_features": 8}}}
    found = [row for row in rows(diff(plan("zeros", a=block), plan("xavier", a=block))) if row.subject == "parameter"]
    assert [(row.name, row.copies) for row in found] == [("a.[0-2].b.weight", 3)]


def test_what_other_shapes_go_through_comes_last(plan):
    def side(width: int):
        return plan("zeros", a={"type": "Linear", "out_features": width}, act="ReLU", b=HIDDEN)

    found = list(rows(diff(side(4), side(6))))
    assert (found[0].name, found[-1].name) == ("a", "act")
    assert found[-1].words == "output (4,) → (6,)"


def test_values_are_rows_with_a_mark():
    found = value_rows([ValueChange("a", 1, 2), ValueChange("b", ABSENT, 2), ValueChange("c", 1, ABSENT)])
    assert [(row.mark, row.name, row.words) for row in found] == [
        ("~", "a", "1 → 2"),
        ("+", "b", "added: 2"),
        ("-", "c", "removed: 1"),
    ]


def test_the_place_of_an_interpolation_is_where_the_value_is():
    found = spot(Place("a.yaml", 2, 3, via=Place("b.yaml", 5, 7)))
    assert found is not None
    assert (found.file, found.line, found.words) == ("b.yaml", 5, "a.yaml:2 from b.yaml:5")
    assert spot(None) is None


def test_a_long_text_fits_a_document_and_shows_all_it_holds():
    assert len(bounded("x" * 10_000)) <= MAX_TEXT
    assert bounded("a\u202eb\n") == "a\\u202eb\\n"
