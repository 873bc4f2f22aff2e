"""start.json: what was predicted of a run, and the gradient of its first layer in the first step."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.language import parse
from modelforge.planning.plan import plan
from modelforge.results.starts import read_start
from modelforge.train.hooks.start import MAX_LAYERS, RunStart, foreseen
from tests.train.runs import last


def deep(layers: int, gain: float):
    block = {"hidden": {"type": "Linear", "out_features": 32, "bias": False}}
    repeat = {"deep": {"type": "Repeat", "times": layers, "layers": block}}
    init = {"scheme": "orthogonal", "gain": gain}
    return plan(parse({"input": {"shape": [32]}, "layers": repeat}, init=init))


def test_gradients_of_linear_layers_grow_by_the_square_of_the_gain():
    found = foreseen(deep(10, 2.0))
    assert found.predicted_gradient == pytest.approx(4.0**10)
    assert found.predicted_signal == pytest.approx(4.0**10)
    assert foreseen(deep(10, 4.0)).explodes
    assert not foreseen(deep(10, 0.1)).explodes


def test_of_a_sequence_the_first_step_counts():
    layers = {"rnn": {"type": "RNN", "hidden_size": 32}, "last": {"type": "Select", "dim": 1, "index": -1}}
    found = [
        foreseen(
            plan(parse({"input": {"shape": [steps, 4]}, "layers": layers}, init={"scheme": "orthogonal"}))
        ).predicted_gradient
        for steps in (5, 50)
    ]
    short, long = (one or 0.0 for one in found)
    assert 0 < 10 * long < short


def test_large_models_are_not_predicted():
    assert foreseen(deep(MAX_LAYERS + 1, 1.0)) == RunStart()


def test_a_run_writes_it_and_one_that_goes_on_keeps_it(train, tmp_path: Path):
    train("trainer.max_epochs=1")
    found = read_start(tmp_path / "run")
    assert found is not None
    assert found.predicted_gradient is not None
    assert found.first_gradient is not None
    assert 0 < found.first_gradient < 100
    train("trainer.max_epochs=2", f"ckpt={last(tmp_path / 'run')}")
    assert read_start(tmp_path / "run") == found


def test_a_run_in_the_folder_of_another_writes_its_own(train, tmp_path: Path):
    """One that found the file of the run before wrote its first gradient alone."""
    train("trainer.max_epochs=1", "init.gain=9")
    train("trainer.max_epochs=1")
    train("trainer.max_epochs=1", folder="fresh")
    assert read_start(tmp_path / "run") == read_start(tmp_path / "fresh")
