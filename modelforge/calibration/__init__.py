"""Calibrations: what a second pass over an initialised model makes of each layer's output on a batch.

>>> from modelforge.calibration import Moments, read
>>> import torch
>>> lsuv = read({"method": "lsuv", "tolerance": 0.05})
>>> correction = lsuv.correct(Moments(100, torch.tensor(0.0), torch.tensor(4.0)))
>>> correction.factor  # the weight is halved
tensor(0.5000)
"""

from modelforge.calibration.base import Calibration, Correction, Moments
from modelforge.calibration.registry import get, names, read, register_calibration, unregister_calibration

__all__ = [
    "Calibration",
    "Correction",
    "Moments",
    "get",
    "names",
    "read",
    "register_calibration",
    "unregister_calibration",
]
