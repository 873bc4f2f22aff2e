"""Quantities of signals and gradients, against the same computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

import modelforge as mf
from modelforge.gallery.quantity import parse_quantity
from modelforge.gallery.subject import Subject
from tests.gallery.networks import NETWORK, folder

RECURRENT = {
    "steps": {"type": "Unflatten", "dim": 1, "unflattened_size": [4, 1]},
    "rnn": {"type": "RNN", "hidden_size": 8},
    "last": {"type": "Select", "dim": 1, "index": -1},
    "head": {"type": "Linear", "out_features": 2},
}


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


def test_a_ratio_to_nothing_is_no_number(subject):
    with torch.no_grad():
        subject.start.hidden.weight.zero_()
    asked = {"type": "std_ratio", "at": "act", "to": "hidden"}
    assert math.isnan(parse_quantity(asked).measure(subject).value)


@pytest.mark.parametrize(("at", "skip"), [("rnn.h_l0", 3), ("rnn.h_l0", 9), ("head", 0)])
def test_a_factor_per_step_needs_steps(at, skip, tmp_path):
    conf = folder(tmp_path, model={"input": "${input}", "layers": RECURRENT})
    subject = Subject(conf, ("experiment=gallery/small", "++seed=3"), tmp_path / "run")
    with pytest.raises(mf.ForgeError, match=f"has gradients of . steps? after the first {skip}"):
        parse_quantity({"type": "gradient_through_time", "at": at, "skip": skip}).measure(subject)


@pytest.mark.parametrize("fill", [0.0, math.nan])
def test_a_ratio_of_gradients_that_are_nothing_or_no_numbers_is_no_number(fill, subject, tmp_path):
    (tmp_path / "recurrent").mkdir()
    conf = folder(tmp_path / "recurrent", model={"input": "${input}", "layers": RECURRENT})
    recurrent = Subject(conf, ("experiment=gallery/small", "++seed=3"), tmp_path / "run")
    for one in (subject, recurrent):
        torch.nn.init.constant_(one.start.head.weight, fill)
    ratio = parse_quantity({"type": "gradient_ratio", "at": "hidden", "to": "act"}).measure(subject)
    through_time = parse_quantity({"type": "gradient_through_time", "at": "rnn.h_l0"}).measure(recurrent)
    assert math.isnan(ratio.value)
    assert math.isnan(through_time.value)


@pytest.mark.parametrize("kind", ["dead", "saturated"])
def test_a_share_of_what_is_not_a_number_is_none(kind, tmp_path):
    layers = NETWORK["layers"] | {"act": "Tanh"}
    conf = folder(tmp_path, model={"input": "${input}", "layers": layers})
    subject = Subject(conf, ("experiment=gallery/small", "++seed=3"), tmp_path / "run")
    with torch.no_grad():
        subject.start.hidden.weight[0, 0] = math.nan
    assert math.isnan(parse_quantity({"type": kind, "at": "act"}).measure(subject).value)
