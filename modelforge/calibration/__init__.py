"""Calibrations: what a second pass over an initialised model makes of each layer's output on a batch.

>>> from modelforge.calibration import Moments, read
>>> import torch
>>> lsuv = read({"method": "lsuv", "tolerance": 0.05})
>>> correction = lsuv.correct(Moments(100, torch.tensor(0.0), torch.tensor(4.0)))
>>> correction.factor  # the weight is halved
tensor(0.5000)
"""

from modelforge.calibration.base import Calibration as Calibration
from modelforge.calibration.base import Correction as Correction
from modelforge.calibration.base import Moments as Moments
from modelforge.calibration.registry import get as get
from modelforge.calibration.registry import names as names
from modelforge.calibration.registry import read as read
from modelforge.calibration.registry import register_calibration as register_calibration
from modelforge.calibration.registry import unregister_calibration as unregister_calibration
