"""Verdicts, their words, and a result as plain data."""

from __future__ import annotations

import json
import math

from modelforge.gallery.claim import Claim
from modelforge.gallery.document import markdown
from modelforge.gallery.expectation import Expectation
from modelforge.gallery.pictures import file_names, write_pictures
from modelforge.gallery.profile import Curve, parse_profile
from modelforge.gallery.quantity import Reading
from modelforge.gallery.result import Picture, Result, Verdict, ratio


def result(*values: float, **numbers: float) -> Result:
    asked = Expectation(quantity="result", of="a|b", reason="by hand", **(numbers or {"at_least": 0.5}))
    claim = Claim(
        question="Why √2?", says="So.", source="He 2015", variants={"a|b": {}}, expect=(asked,), pictures=("loss",)
    )
    curves = tuple(Curve((1.0, 2.0), (value, value / 2)) for value in values)
    picture = Picture(parse_profile("loss"), {"a|b": curves})
    readings = tuple(Reading(value, 0.1) for value in values)
    return Result("why", claim, (0, 1, 2), (Verdict(asked, readings),), (picture,), 1.25)


def test_every_seed_must_confirm_a_claim():
    assert result(0.6, 0.7, 0.5).ok
    assert not result(0.6, 0.7, 0.4).ok
    assert not result(0.6, 0.7, math.nan).ok


def test_the_words_of_what_was_measured():
    assert result(0.6, 0.9, 0.5).verdicts[0].measured == "0.6 (0.5 to 0.9)"
    assert result(2.0, 2.0, 2.0).verdicts[0].measured == "2"
    assert result(2.0, expected=2.0, spreads=1.0).verdicts[0].due == "2 (1.81 to 2.21)"


def test_plain_data_can_be_written_as_json():
    data = json.loads(json.dumps(result(math.inf, 0.7, 0.5).to_dict(), allow_nan=False))
    assert data["verdicts"][0]["values"] == [None, 0.7, 0.5]
    assert data["pictures"][0]["curves"]["a|b"][1] == {"x": [1.0, 2.0], "y": [0.7, 0.35]}


def test_a_ratio_of_what_is_not_predicted_has_no_spread():
    assert ratio(Reading(1.0), Reading(2.0, 0.1)) == Reading(0.5)
    assert math.isnan(ratio(Reading(1.0), Reading(0.0)).value)


def test_a_page_has_questions_numbers_pictures_and_commands(tmp_path):
    found = (result(0.6, 0.9, 0.5),)
    folder = tmp_path / "images"
    folder.mkdir()
    write_pictures(found, folder)
    (name, _), *others = file_names(found[0])
    assert not others
    assert (folder / name).stat().st_size < 60_000
    page = markdown(found, folder, tmp_path / "gallery.md")
    assert f"![val/loss by epoch](images/{name})" in page
    assert "- [Why √2?](#why-2)" in page
    assert "| test accuracy (a\\|b) | ≥ 0.5 | 0.6 (0.5 to 0.9) | ✓ | by hand |" in page
    assert "```sh\nmodelforge gallery why\n```" in page
