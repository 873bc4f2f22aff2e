"""Sites: the modules that can be calibrated, and why other kernels cannot."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import modelforge as mf
from tests.calibration.test_calibrate import normal


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Linear(16, 16)
        self.rnn = nn.LSTM(16, 16, batch_first=True)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.normed = parametrizations.weight_norm(nn.Linear(16, 16))
        self.spectral = parametrizations.spectral_norm(nn.Linear(16, 16))
        self.one, self.other = nn.Linear(16, 16), nn.Linear(16, 16)
        self.other.weight = self.one.weight
        self.own = nn.Parameter(torch.ones(16))

    def forward(self, x: Tensor) -> Tensor:
        x = self.rnn(self.start(x))[0]
        x = self.attend(x, x, x, need_weights=False)[0]
        return self.other(self.one(self.spectral(self.normed(x)))) * self.own


def test_what_cannot_be_rescaled_is_named_and_left():
    model = Mixed()
    old = copy.deepcopy(model.state_dict())
    ledger = mf.calibrate(model, normal(32, 5, 16))
    reasons = {entry.path: entry.calibration.left for entry in ledger if entry.calibration and entry.calibration.left}
    reasons["spectral.weight"] = reasons["spectral.weight"].partition(".")[0]
    assert reasons == {
        "own": "it is not known what Mixed does with it",
        "rnn.weight_ih_l0": "LSTM computes with several kernels: weight_ih_l0, weight_hh_l0",
        "rnn.weight_hh_l0": "LSTM computes with several kernels: weight_ih_l0, weight_hh_l0",
        "attend.in_proj_weight": "MultiheadAttention has layers inside that work on what this makes",
        "attend.out_proj.weight": "this NonDynamicallyQuantizableLinear is never called: "
        "what holds it may compute with it directly",
        "spectral.weight": "it is parametrised: `SpectralNorm` makes other values of them, off by up to 0",
        "one.weight": "several modules share it: one.weight, other.weight",
    }
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, old[name])]
    normed = "normed.parametrizations.weight.original"  # length and direction, the latter written as the weight itself
    assert changed == ["start.weight", f"{normed}0", f"{normed}1"]
    for name in ("start.weight", "normed.weight"):
        assert ledger[name].calibration.variance_after == pytest.approx(1, abs=0.1)
        assert ledger[name].verdict == "pass"
    assert ledger["normed.weight"].measured_std == pytest.approx(model.normed.weight.std(correction=0).item(), rel=1e-5)
