"""Windows as units and back, as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import chain, check

MIXED = {"type": "Conv1d", "out_channels": 36, "kernel_size": 1}
CONV = {"type": "Conv2d", "out_channels": 24, "kernel_size": 3, "padding": 1}


@pytest.mark.parametrize("windows", [{"kernel_size": 3, "padding": 1}, {"kernel_size": 2, "stride": 2}], ids=str)
def test_windows_and_back(windows):
    check(chain(CONV, "ReLU", {"type": "Unfold"} | windows, MIXED, shape=[8, 6, 6], init="kaiming"), batch=8)
    size = [6, 6] if windows["kernel_size"] == 3 else [12, 12]
    check(chain(MIXED, "ReLU", {"type": "Fold", "output_size": size} | windows, CONV, shape=[8, 36], init="kaiming"))


@pytest.mark.parametrize(("stride", "known"), [(2, False), (3, True)])
def test_copies_that_are_added_up_are_not_predicted(stride, known):
    windows = {"kernel_size": 3, "stride": stride}
    fold = {"type": "Fold", "output_size": [9, 9]} | windows
    prediction = mf.predict(
        mf.plan(chain(CONV, "ReLU", {"type": "Unfold"} | windows, fold, shape=[8, 9, 9], init="kaiming"))
    )
    assert (prediction.node("fold3").signal is not None) == known
    if not known:
        assert "copies of one element" in prediction.node("fold3").note
