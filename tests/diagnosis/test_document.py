"""document: what a diagnosis may hold."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from modelforge.core.errors import Place
from modelforge.diagnosis.document import Energy, Histogram, Spot, spaced


def test_numbers_have_four_digits_and_are_finite():
    assert Energy(energy=1.23456789e-9).energy == 1.235e-9
    with pytest.raises(ValidationError):
        Energy(energy=math.inf)


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError):
        Histogram.model_validate(
            {"path": "a", "kind": "weights", "low": 0.0, "high": 1.0, "shares": (), "colour": "red"}
        )


def test_a_spot_is_a_line_of_a_file_or_an_override():
    place = Place("conf/init/xavier.yaml", 3, 9, source="scheme: xavier")
    assert Spot.of(place) == Spot(
        words="conf/init/xavier.yaml:3", file="conf/init/xavier.yaml", line=3, source="scheme: xavier"
    )
    assert Spot.of(Place(override="init.gain=2")) == Spot(words="override init.gain=2")
    assert Spot.of(None) is None


def test_indices_at_equal_distances():
    assert spaced(5, 9) == [0, 1, 2, 3, 4]
    assert spaced(101, 3) == [0, 50, 100]
    assert spaced(101, 1) == [0]
    assert spaced(101, 0) == []
