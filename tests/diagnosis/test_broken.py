"""broken: networks in which something is NaN or infinity."""

from __future__ import annotations

import math

import pytest
import torch

import modelforge as mf
from modelforge.cli.diagnose import fails
from modelforge.core.errors import ForgeError
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.document import Cause, Start
from modelforge.diagnosis.formats import FORMATS
from modelforge.diagnosis.measuring import Batch
from tests.diagnosis.nets import deep, recurrent


def spoiled(plan: mf.Plan, path: str, value: float = math.nan) -> Start:
    """The diagnosis of a network with one value that is not finite."""
    model = mf.build(plan)
    with torch.no_grad():
        model.get_parameter(path).view(-1)[0] = value
    found = diagnose(plan, model=model)
    assert fails(found, "error")
    for form in ("json", "html", "markdown"):
        assert FORMATS[form](found)
    return found.first


def on(plan: mf.Plan, values: torch.Tensor) -> Cause:
    return diagnose(plan, data=Batch((values,), "a test"), jacobian=False).first.cause


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_not_finite_is_named(value):
    start = spoiled(deep("kaiming", depth=3), "deep.1.hidden.weight", value)
    assert (start.cause.verdict, start.cause.severity, start.cause.key) == ("not finite", "error", "init")
    assert start.cause.sentence == "1 of 4,096 values of `deep.1.hidden.weight` are NaN or infinity"
    assert next(one.path for one in start.levels if "signal" in one.not_finite) == "deep.1.hidden"
    assert sum(row.failed for row in start.ledger) == 1
    assert start.repair is None


def test_a_recurrent_matrix_of_nan_has_no_spectral_radius():
    start = spoiled(recurrent(), "rnn.weight_hh_l0")
    assert start.cause.verdict == "not finite"
    assert len(start.measurement.spectra) == 3  # of four gates


def test_a_batch_with_infinity():
    found = on(deep("kaiming", depth=3), torch.full((8, 64), math.inf))
    assert (found.verdict, found.severity) == ("not finite", "error")
    assert found.sentence == "The input `input` is not finite: NaN or infinity"


def test_a_batch_with_nan_is_refused():
    with pytest.raises(ForgeError, match="are NaN"):
        on(deep("kaiming", depth=3), torch.full((8, 64), math.nan))


def test_numbers_that_grow_too_large():
    found = on(deep("kaiming", depth=3), torch.full((8, 64), 3e38))
    assert found.key == "model.layers.deep.layers.hidden"
    assert "What `deep.0.hidden` (Linear) gives is not finite: NaN or infinity, where E x² is 9e+76" in found.sentence


def test_what_the_weights_make_too_large_is_explained_and_repaired():
    start = diagnose(deep({"scheme": "normal", "std": 1e4}, depth=15)).first
    assert (start.cause.verdict, start.cause.key) == ("not finite", "init")
    assert "As predicted, the signal explodes: E x² goes from 1 at `input`" in start.cause.sentence
    assert start.repair is not None
    assert start.repair.overrides[0].startswith("init.std=0.17")


def test_a_gradient_alone():
    plan = deep("kaiming", depth=3)
    model = mf.build(plan)

    def spoil(module: object, given: object, output: torch.Tensor) -> None:
        if output.requires_grad:
            output.register_hook(lambda gradient: gradient * math.inf)

    model.get_submodule("deep.1.act").register_forward_hook(spoil)
    found = diagnose(plan, model=model, jacobian=False).first.cause
    assert found.verdict == "not finite"
    assert found.sentence == "The gradient that reaches `deep.1.act` (ReLU) is not finite: NaN or infinity"
