"""Quantities of signals and gradients, against the same computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

import modelforge as mf
from modelforge.gallery.quantity import parse_quantity
from modelforge.gallery.subject import Subject
from tests.gallery.networks import folder


@pytest.fixture
def subject(tmp_path):
    return Subject(folder(tmp_path), ("experiment=gallery/small", "++seed=3"), tmp_path / "run")


def test_the_ratio_of_gradients_is_that_of_a_random_direction(subject):
    quantity = parse_quantity({"type": "gradient_ratio", "at": "hidden", "to": "act"})
    found = quantity.measure(subject)
    hidden = (subject.batch("noise") @ subject.start.hidden.weight.T).detach()
    open_share = float((hidden > 0).float().mean())
    assert found.value == pytest.approx(open_share, rel=0.5)
    assert found.spread is not None


def test_a_spread_is_predicted_for_noise_at_the_start_only(subject):
    noise = parse_quantity({"type": "forward", "at": "act"}).measure(subject)
    data = parse_quantity({"type": "forward", "at": "act", "batch": "data"}).measure(subject)
    assert noise.spread == pytest.approx(subject.prediction.node("act").signal.spread)
    assert data.spread is None


def test_shares_of_units(subject):
    with torch.no_grad():
        subject.start.hidden.weight[:4] = 0
    assert parse_quantity({"type": "dead", "at": "act"}).measure(subject).value >= 4 / 16
    assert math.isnan(parse_quantity({"type": "saturated", "at": "hidden"}).measure(subject).value)


@pytest.mark.parametrize("kind", ["forward", "mean", "saturated", "dead", "effective_rank", "predicted_forward"])
def test_a_layer_that_does_not_exist_is_named(kind, subject):
    with pytest.raises(mf.ForgeError, match="nothing is measured at `akt`"):
        parse_quantity({"type": kind, "at": "akt"}).measure(subject)


def test_words_say_what_is_read_and_when():
    asked = {"type": "std_ratio", "at": "b", "to": "a", "batch": "data", "when": "trained"}
    assert parse_quantity(asked).words == "std at b / std at a on data after training"
