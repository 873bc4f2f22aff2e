"""A subject is planned, measured and trained as its config says; what fails keeps its words."""

from __future__ import annotations

import math

import pytest
import torch

import modelforge as mf
from modelforge.gallery.profile import parse_profile
from modelforge.gallery.quantity import parse_quantity
from modelforge.gallery.subject import Subject
from tests.gallery.networks import folder

WITH_BIAS = {
    "input": "${input}",
    "layers": {"hidden": {"type": "Linear", "out_features": 16}, "head": {"type": "Linear", "out_features": 2}},
}


def subject(tmp_path, *overrides, calibration=None, **more):
    conf = folder(tmp_path, **more)
    return Subject(conf, ("experiment=gallery/small", "++seed=3", *overrides), tmp_path / "run", calibration)


def value(found, quantity):
    return parse_quantity(quantity).measure(found).value


def test_what_is_measured_of_a_start(tmp_path):
    found = subject(tmp_path)
    noise = found.batch("noise")
    hidden = (noise @ found.start.hidden.weight.T).detach()
    assert noise.shape == (64, 4)
    assert value(found, {"type": "forward", "at": "hidden"}) == pytest.approx(float(hidden.square().mean()), rel=1e-5)
    assert value(found, {"type": "mean", "at": "act"}) == pytest.approx(float(hidden.relu().mean()), rel=1e-5)
    deviations = float(hidden.relu().std(correction=0) / hidden.std(correction=0))
    assert value(found, {"type": "std_ratio", "at": "act", "to": "hidden"}) == pytest.approx(deviations, rel=1e-5)
    assert value(found, {"type": "predicted_forward", "at": "act"}) == pytest.approx(1.0)
    assert value(found, {"type": "distinct_units", "at": "hidden.weight"}) == 16
    dead = float((hidden.relu() == 0).all(0).float().mean())
    assert value(found, {"type": "dead", "at": "act"}) == pytest.approx(dead)
    assert value(found, "singular_value") >= 1.0
    drawn = parse_profile({"type": "forward", "at": "*"}).curve(found)
    assert (drawn.x, len(drawn.y)) == ((1.0, 2.0, 3.0), 3)


def test_equal_units_are_counted_once(tmp_path):
    found = subject(tmp_path, "init={scheme: constant, value: 0.1}")
    assert value(found, {"type": "distinct_units", "at": "hidden.weight"}) == 1
    assert value(found, {"type": "effective_rank", "at": "hidden"}) == pytest.approx(1.0)


def test_rows_that_are_no_numbers_are_not_counted(tmp_path):
    found = subject(tmp_path, model=WITH_BIAS)
    torch.nn.init.constant_(found.start.hidden.weight, math.nan)
    assert math.isnan(value(found, {"type": "distinct_units", "at": "hidden.weight"}))
    with pytest.raises(mf.ForgeError, match=r"`hidden.bias` has no rows: its shape is \(16,\)"):
        value(found, {"type": "distinct_units", "at": "hidden.bias"})


def test_a_network_that_passes_nothing_on_has_no_singular_values(tmp_path):
    found = subject(tmp_path)
    torch.nn.init.zeros_(found.start.head.weight)
    assert math.isnan(value(found, "singular_value"))
    drawn = parse_profile("singular_values").curve(found)
    assert drawn.y
    assert all(map(math.isnan, drawn.y))


def test_what_a_training_leaves(tmp_path):
    found = subject(tmp_path)
    assert len(found.training.epochs) == 2
    losses = parse_profile("loss").curve(found).y
    assert losses == tuple(row["val/loss"] for row in found.training.epochs)
    assert value(found, {"type": "result", "metric": "test/loss"}) == found.training.metrics["test/loss"]
    assert value(found, {"type": "epochs_to", "below": losses[1]}) == 2
    assert value(found, {"type": "epochs_to", "below": 0.0}) == math.inf
    with pytest.raises(mf.ForgeError, match="test/los"):
        value(found, {"type": "result", "metric": "test/los"})
    assert not torch.equal(found.model("trained").hidden.weight, found.start.hidden.weight)


def test_a_training_that_diverges_is_a_number_that_confirms_nothing(tmp_path):
    found = subject(tmp_path, "optimizer.lr=1e30")
    assert math.isnan(value(found, {"type": "result", "metric": "test/loss"}))
    assert value(found, {"type": "epochs_to", "below": 9.0}) == math.inf
    with pytest.raises(mf.ForgeError, match="diverged"):
        found.model("trained")


def test_a_training_starts_from_calibrated_values(tmp_path):
    found = subject(tmp_path, "optimizer.lr=1e-12", calibration="lsuv")
    hidden = (found.batch("data") @ found.start.hidden.weight.T).detach()
    assert float(hidden.var(correction=0)) == pytest.approx(1.0, abs=0.1)
    torch.testing.assert_close(found.model("trained").hidden.weight, found.start.hidden.weight)


def test_a_wrong_config_is_refused_before_anything_trains(tmp_path):
    with pytest.raises(mf.ForgeError) as caught:
        _ = subject(tmp_path, "optimizer.lr=fast").training
    assert caught.value.problems
