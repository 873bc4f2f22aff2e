"""A review on the terminal: verdict first, at most ten rows open, nothing that moves the cursor."""

from __future__ import annotations

from modelforge.report.table import to_text
from modelforge.review.document import Acceptance, Effect
from modelforge.review.formats.text import text
from tests.review.formats.test_markdown import change, document


def test_the_verdict_comes_first():
    lines = to_text(text(document(change("a")))).splitlines()
    assert lines[:2] == ["old → new", "1 layer added"]


def test_ten_rows_are_open_and_the_others_counted():
    effects = tuple(Effect(mark="+", subject="layer", name=f"layer{index}", copies=2) for index in range(30))
    shown = to_text(text(document(change("a", effects=effects, num_effects=60))))
    assert "layer9 (2 alike)" in shown
    assert "layer10" not in shown
    assert "… and 40 more: `--format json` has all" in shown


def test_one_row_more_is_shown_in_the_place_of_its_count():
    effects = tuple(Effect(mark="+", subject="layer", name=f"layer{index}") for index in range(11))
    shown = to_text(text(document(change("a", effects=effects, num_effects=11))))
    assert "layer10" in shown
    assert "more" not in shown


def test_changes_beyond_ten_are_counted():
    changes = [change(f"key{index}", effects=(), num_effects=0) for index in range(14)]
    shown = to_text(text(document(*changes)))
    assert "key9 " in shown
    assert "key10 " not in shown
    assert "… and 4 more changes" in shown


def test_accepted_changes_are_one_line_each():
    shown = to_text(text(document(change("a", accepted=Acceptance(reason="as agreed", author="me")))))
    assert "accepted\n  ~  a x  as agreed (me)" in shown


def test_eighty_columns_hold_all_but_long_words():
    changes = [change("model.layers.encoder.layers.attention", effects=(), num_effects=0)]
    shown = to_text(text(document(*changes)), width=80)
    assert max(map(len, shown.splitlines())) <= 80
