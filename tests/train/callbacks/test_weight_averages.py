"""`ema` and `swa`: averages that a training is too short for."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from modelforge.train.callbacks.registry import parse_callbacks
from modelforge.train.context import Terms

SECTIONS = [
    # name, settings, whole epochs, steps, key, message
    ("ema", {}, None, None, "", ""),
    ("ema", {}, 1, 1, "", ""),
    ("ema", {"start_step": 19}, 1, 20, "", ""),
    ("ema", {"start_step": 20}, 1, 20, "start_step", "begins with step 21, but the training has 20 steps"),
    ("ema", {"every_n_steps": 21}, 1, 20, "every_n_steps", "begins with step 21, but the training has 20 steps"),
    ("swa", {}, 3, 60, "", ""),
    ("swa", {}, 2, 59, "start", "begins with epoch 3, but the training has 2 epochs"),
    ("swa", {"start": 0.0}, 0, 19, "start", "begins with epoch 1, but the training has 0 epochs"),
    ("swa", {}, None, 19, "", ""),
]


@pytest.mark.parametrize("share", [0.28, 0.29, 0.57, 0.58, 0.7])
def test_a_share_of_the_epochs_is_what_it_says(share: float):
    terms = Terms("val/loss", {"val/loss": "min"}, MappingProxyType({"max_epochs": 100}), False)
    (problem,) = parse_callbacks({"swa": {"start": share}})["swa"].late("callbacks.swa", terms, 0, None)
    assert f"begins with epoch {round(100 * share) + 1}," in problem.message


@pytest.mark.parametrize(("name", "settings", "epochs", "steps", "key", "message"), SECTIONS)
def test_an_average_that_never_begins_is_said(
    name: str, settings: dict[str, Any], epochs: int | None, steps: int | None, key: str, message: str
):
    terms = Terms("val/loss", {"val/loss": "min"}, MappingProxyType({"max_epochs": 3}), False)
    callback = parse_callbacks({name: settings or True})[name]
    found = [*callback.late(f"callbacks.{name}", terms, epochs, steps)]
    if not key:
        assert found == []
        return
    (problem,) = found
    assert (problem.code, problem.severity, problem.key) == ("MW211", "warning", f"callbacks.{name}.{key}")
    assert problem.message == f"the average {message}: there is none"
