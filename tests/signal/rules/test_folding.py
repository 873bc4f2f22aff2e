"""Windows as units and back, as predicted and as measured."""

from __future__ import annotations

import pytest

from tests.signal.nets import chain, check

MIXED = {"type": "Conv1d", "out_channels": 36, "kernel_size": 1}
CONV = {"type": "Conv2d", "out_channels": 24, "kernel_size": 3, "padding": 1}


@pytest.mark.parametrize("windows", [{"kernel_size": 3, "padding": 1}, {"kernel_size": 2, "stride": 2}], ids=str)
def test_windows_and_back(windows):
    check(chain(CONV, "ReLU", {"type": "Unfold"} | windows, MIXED, shape=[8, 6, 6], init="kaiming"), batch=8)
    size = [6, 6] if windows["kernel_size"] == 3 else [12, 12]
    check(chain(MIXED, "ReLU", {"type": "Fold", "output_size": size} | windows, CONV, shape=[8, 36], init="kaiming"))
