"""levels: what is known of each tensor, and which energies count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

import modelforge as mf
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.document import Energy, Level
from modelforge.diagnosis.levels import judged, levels
from modelforge.diagnosis.measuring import measured_of, size_of
from tests.diagnosis.nets import deep

ATTENDING = {
    "self": {"type": "SelfAttention", "num_heads": 2},
    "cross": {"type": "CrossAttention", "num_heads": 2, "inputs": ["self", "input"]},
    "encoder": {"type": "TransformerEncoderLayer", "nhead": 2},
}


def level(path: str, predicted: float | None = None, measured: float | None = None, **more: object) -> Level:
    energies = {"signal": predicted, "measured_signal": measured}
    given = {name: Energy(energy=value) for name, value in energies.items() if value is not None}
    return Level.model_validate({"path": path, "type": "Linear", "size": 4, **given, **more})


def test_layers_with_layers_inside_are_measured():
    plan = mf.plan(mf.parse({"input": {"shape": [5, 16]}, "layers": ATTENDING}, init="xavier"))
    found = diagnose(plan, jacobian=False, solve=False).first.levels
    assert [one.path for one in found] == ["input", "self", "cross", "encoder"]
    assert all(one.measured_signal is not None and one.measured_gradient is not None for one in found)


def test_a_typical_energy_is_the_geometric_mean_over_draws():
    plan = deep({"scheme": "kaiming", "gain": "auto"}, depth=40, activation="GELU")
    prediction = mf.predict(plan, batch_size=16)
    last, predicted = levels(plan, prediction, None)[-1], prediction.nodes[-1].signal
    assert predicted is not None
    assert predicted.lift > 0.5  # what energy and spread alone do not say
    assert math.log(last.signal.typical) == pytest.approx(predicted.log_mean, abs=1e-3)


def test_energies_are_all_measured_or_all_predicted():
    both: Sequence[Level] = (level("a", 1.0, 5.0), level("b", 2.0))
    assert judged(both, "signal") == {"a": 5.0}
    assert judged((level("a", 1.0), level("b", 2.0)), "signal") == {"a": 1.0, "b": 2.0}
    lost = level("b", 2.0, not_finite=("signal",))
    assert judged((level("a", 1.0), lost), "signal") == {}


def test_zeros_in_one_seed_are_no_energy_of_zero():
    plan = deep("kaiming", depth=1)
    model = mf.build(plan, seed=1)
    with torch.no_grad():
        model.get_parameter("deep.0.hidden.weight").zero_()
    one = measured_of(plan, size_of(plan), model=model)
    assert levels(plan, mf.predict(plan), one)[-1].measured_signal == Energy(energy=0.0)
    several = mf.probe(
        lambda seed: model if seed == 1 else mf.build(plan, seed=seed), torch.ones(4, 64), seeds=range(3)
    )
    measured = levels(plan, mf.predict(plan), replace(one, probe=several))[-1].measured_signal
    assert measured is not None
    assert measured.energy > 0
