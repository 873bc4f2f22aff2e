"""The registry of calibrations, and the moments that they judge."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge import calibration as calibrations
from modelforge.calibration import Calibration, Correction, Moments
from modelforge.core.docstrings import field_docs


@pytest.mark.parametrize("name", calibrations.names())
def test_every_method_documents_itself(name):
    cls = calibrations.get(name)
    doc = inspect.getdoc(cls)
    assert "\nFormula: " in doc
    assert "\nSource: " in doc
    assert cls.model_fields.keys() <= field_docs(cls).keys()
    assert cls.method == name
    with pytest.raises(ValueError, match="frozen"):
        cls().tolerance = 0.5


def test_a_method_of_ones_own():
    @mf.register_calibration("double")
    class Double(Calibration):
        """Brings the variance of every layer's output to 4."""

        def correct(self, seen: Moments) -> Correction:
            return Correction(2 * seen.variance.rsqrt())

        def satisfied(self, seen: Moments) -> bool:
            return bool(((seen.variance - 4).abs() < self.tolerance).all())

    try:
        net = nn.Linear(40, 30)
        mf.initialize(net, "lecun")
        batch = torch.randn(100, 40, generator=torch.Generator().manual_seed(0))
        ledger = mf.calibrate(net, batch, {"method": "double"})
        assert ledger["weight"].calibration.variance_after == pytest.approx(4, rel=1e-4)
        assert ledger.ok
    finally:
        calibrations.unregister_calibration("double")
    assert "double" not in calibrations.names()


def test_what_cannot_be_registered():
    class Unfinished(Calibration):
        """Does nothing."""

    class Silent(Calibration):
        def correct(self, seen: Moments) -> Correction:
            return Correction(seen.variance)

    class Second(Calibration):
        """A second one."""

        def correct(self, seen: Moments) -> Correction:
            return Correction(seen.variance)

    with pytest.raises(TypeError, match=r"Unfinished does not implement correct"):
        mf.register_calibration("unfinished")(Unfinished)
    with pytest.raises(TypeError, match=r"Silent needs a docstring that says what it does"):
        mf.register_calibration("silent")(Silent)
    with pytest.raises(TypeError, match=r"is not a subclass of Calibration"):
        mf.register_calibration("module")(nn.Linear)
    with pytest.raises(ValueError, match=r"a calibration `lsuv` exists already: .*\.LSUV"):
        mf.register_calibration("lsuv")(Second)
    assert set(calibrations.names()) == {"lsuv", "per_channel"}


@pytest.mark.parametrize("dim", [None, -1, 0])
def test_merged_moments_are_those_of_everything(dim):
    first, second = torch.randn(2, 7, 7, generator=torch.Generator().manual_seed(0)).unbind(0)
    second = 3 * second + 100
    merged = Moments.of(first, dim).merged(Moments.of(second, dim))
    whole = Moments.of(torch.cat([first, second], 0 if dim != 0 else 1), dim)
    assert merged.count == whole.count
    torch.testing.assert_close(merged.mean, whole.mean, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(merged.variance, whole.variance, rtol=1e-4, atol=1e-5)
