"""Verdicts, their words, and a result as plain data."""

from __future__ import annotations

import json
import math

import pytest

from modelforge.gallery.expectation import Expectation
from modelforge.gallery.quantity import Reading
from modelforge.gallery.result import Verdict, ratio
from tests.gallery.results import result


def test_every_seed_must_confirm_a_claim():
    assert result(0.6, 0.7, 0.5).ok
    assert not result(0.6, 0.7, 0.4).ok
    assert not result(0.6, 0.7, math.nan).ok


def test_the_words_of_what_was_measured():
    assert result(0.6, 0.9, 0.5).verdicts[0].measured == "0.6 (0.5 to 0.9)"
    assert result(2.0, 2.0, 2.0).verdicts[0].measured == "2"
    assert result(2.0, 1.0, math.nan).verdicts[0].measured == "nan"
    assert result(2.0, expected=2.0, spreads=1.0).verdicts[0].due == "2 (1.81 to 2.21)"


def test_plain_data_can_be_written_as_json():
    data = json.loads(json.dumps(result(math.inf, 0.7, 0.5).to_dict(), allow_nan=False))
    assert data["verdicts"][0]["values"] == [None, 0.7, 0.5]
    assert data["pictures"][0]["curves"]["a|b"][1] == {"x": [1.0, 2.0], "y": [0.7, 0.35]}


def test_a_ratio_of_what_is_not_predicted_has_no_spread():
    assert ratio(Reading(1.0), Reading(2.0, 0.1)) == Reading(0.5)
    assert math.isnan(ratio(Reading(1.0), Reading(0.0)).value)


def test_one_spread_judges_all_seeds_and_is_the_one_in_words():
    asked = Expectation(quantity="result", of="a|b", expected=1.0, spreads=2.0, reason="by hand")
    verdict = Verdict(asked, (Reading(1.5, 0.3), Reading(1.0, 0.1)))
    assert verdict.due == "1 (0.819 to 1.22)"
    assert verdict.to_dict()["bounds"] == pytest.approx([0.8187, 1.2214], rel=1e-4)
    assert not verdict.ok
    assert Verdict(asked, (Reading(1.2, 0.3), Reading(1.0, 0.1))).ok
