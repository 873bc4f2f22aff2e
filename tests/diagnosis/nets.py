"""Networks that several tests diagnose."""

from __future__ import annotations

import json
from typing import Any

import modelforge as mf
from modelforge.diagnosis.result import Diagnosis

HIDDEN = {"type": "Linear", "out_features": 64, "bias": False}


def deep(init: Any = "xavier", depth: int = 20, activation: Any = "ReLU") -> mf.Plan:
    """Copies of a linear layer and an activation."""
    layers = {"deep": {"type": "Repeat", "times": depth, "layers": {"hidden": HIDDEN, "act": activation}}}
    return mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init=init))


def recurrent() -> mf.Plan:
    """A small LSTM."""
    layers = {
        "rnn": {"type": "LSTM", "hidden_size": 8},
        "last": {"type": "Select", "dim": 1, "index": -1},
        "head": {"type": "Linear", "out_features": 3},
    }
    return mf.plan(mf.parse({"input": {"shape": [12, 4]}, "layers": layers}, init="orthogonal"))


def renamed(found: Diagnosis, old: str, new: str) -> Diagnosis:
    """The diagnosis with another name in place of one, as a document from elsewhere may have."""
    text = json.dumps(found.to_dict())
    return Diagnosis.model_validate_json(text.replace(old, json.dumps(new)[1:-1]))


def opaque(init: Any, depth: int) -> mf.Plan:
    """The same behind a layer that has no signal rule."""
    inner = {"hidden": HIDDEN, "act": "ReLU"}
    layers = {
        "pool": {"type": "LPPool1d", "norm_type": 4, "kernel_size": 1},
        "deep": {"type": "Repeat", "times": depth, "layers": inner},
    }
    return mf.plan(mf.parse({"input": {"shape": [1, 64]}, "layers": layers}, init=init))
