"""Sites: the modules that can be calibrated, and why other kernels cannot."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import modelforge as mf
from modelforge import calibration
from modelforge.calibration.sites import find_sites
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
        "spectral.weight": "it is parametrised: `SpectralNorm` computes other values from these, off by up to 0",
        "one.weight": "several modules share it: one.weight, other.weight",
    }
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, old[name])]
    normed = "normed.parametrizations.weight.original"  # length and direction, the latter written as the weight itself
    assert changed == ["start.weight", f"{normed}0", f"{normed}1"]
    for name in ("start.weight", "normed.weight"):
        assert ledger[name].calibration.variance_after == pytest.approx(1, abs=0.1)
        assert ledger[name].verdict == "pass"
    assert ledger["normed.weight"].measured_std == pytest.approx(model.normed.weight.std(correction=0).item(), rel=1e-5)


def test_sites_are_modules_with_one_kernel_and_a_bias_where_means_move():
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(4, 3, bias=False), nn.LayerNorm(3))
    sites, left = find_sites(net, calibration.get("lsuv")())
    assert [(site.path, site.kind, site.bias_path, site.num_channels) for site in sites] == [
        ("0.weight", "Conv2d", None, 4),
        ("2.weight", "Linear", None, 3),
    ]
    assert not left
    sites, left = find_sites(net, calibration.get("per_channel")())
    assert [(site.path, site.bias_path) for site in sites] == [("0.weight", "0.bias")]
    assert left == {"2.weight": "`per_channel` moves means, and this Linear has no bias"}


def test_groups_of_a_transposed_convolution_count_all_channels():
    (site,), _ = find_sites(nn.ConvTranspose2d(4, 6, 3, groups=2), calibration.get("lsuv")())
    assert site.num_channels == 6


@torch.no_grad()
def test_corrections_add_up_from_the_first_values():
    """x → 2x + 1, then 3y + 4: 6x + 7; the weight becomes 6 times, the bias 6 times and 7 more."""
    net = nn.Linear(5, 3)
    weight, bias = net.weight.clone(), net.bias.clone()
    (site,), _ = find_sites(net, calibration.get("per_channel")())
    for factor, shift in ((2.0, 1.0), (3.0, 4.0)):
        site.apply(calibration.Correction(torch.full((3,), factor), torch.full((3,), shift)))
    torch.testing.assert_close(net.weight, 6 * weight)
    torch.testing.assert_close(net.bias, 6 * bias + 7)
    site.restore()
    assert torch.equal(net.weight, weight)
    assert torch.equal(net.bias, bias)


def test_a_frozen_kernel_is_left():
    net = nn.Linear(5, 3)
    net.weight.requires_grad_(False)
    assert find_sites(net, calibration.get("lsuv")()) == ([], {"weight": "it is frozen (`requires_grad=False`)"})
