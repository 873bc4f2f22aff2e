"""Biases that are probabilities."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.inits import Matrix

INIT = {"scheme": "xavier", "bias": {"scheme": "prior_probability", "prob": 0.2}}
LAYERS = {"head": {"type": "Linear", "out_features": 3, "init": {"scheme": "zeros"}}}


@pytest.mark.parametrize(("prob", "bias"), [(0.01, -4.59511985013459), (0.5, 0.0), (0.9, 2.1972245773362196)])
def test_the_bias_is_the_logit(prob: float, bias: float):
    scheme = inits.create({"scheme": "prior_probability", "prob": prob})
    fill = scheme.resolve(Matrix(shape=(3,), fan_in=3, fan_out=3))
    assert (fill.mean, fill.std) == (pytest.approx(bias, rel=1e-14), 0.0)
    assert scheme.resolve(Matrix(shape=(3,), fan_in=3, fan_out=3, addend=1)).mean == 0.0


def test_a_model_predicts_the_prior():
    model = mf.build(mf.parse({"input": {"shape": [8]}, "layers": LAYERS}, init=INIT))
    assert model.ledger.ok
    assert torch.allclose(torch.sigmoid(model(torch.randn(5, 8))), torch.tensor(0.2))


def test_tiny_probabilities_are_fine():
    scheme = inits.create({"scheme": "prior_probability", "prob": 1e-300})
    assert scheme.resolve(Matrix(shape=(1,), fan_in=1, fan_out=1)).mean == pytest.approx(-300 * math.log(10))


@pytest.mark.parametrize(("prob", "message"), [(0.0, "should be greater than 0"), (1, "should be less than 1")])
def test_certainties_are_refused(prob: float, message: str):
    with pytest.raises(ValidationError, match=message):
        inits.create({"scheme": "prior_probability", "prob": prob})


def test_weights_are_refused():
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": "prior_probability"}).resolve(Matrix(shape=(3, 2), fan_in=2, fan_out=3))
    assert caught.value.reason == "`prior_probability` fills biases, but this is a weight"
    assert caught.value.hint == "move it below `bias:`"
