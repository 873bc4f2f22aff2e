"""The initializers: from a scheme's name and fields, and a matrix, to values.

>>> xavier = get("xavier")(gain=2.0)
>>> fill = xavier.resolve(Matrix(shape=(64, 36), fan_in=36, fan_out=64))
>>> round(fill.std, 6), fill.numbers["fan"]
(0.282843, 50.0)
"""

from modelforge.core.errors import Refusal as Refusal
from modelforge.core.matrix import Activation as Activation
from modelforge.core.matrix import Attention as Attention
from modelforge.core.matrix import Branch as Branch
from modelforge.core.matrix import Context as Context
from modelforge.core.matrix import Matrix as Matrix
from modelforge.inits.base import Elementwise as Elementwise
from modelforge.inits.base import Fill as Fill
from modelforge.inits.base import Initializer as Initializer
from modelforge.inits.base import Matrixwise as Matrixwise
from modelforge.inits.base import Moments as Moments
from modelforge.inits.defaults import ROLE_DEFAULTS as ROLE_DEFAULTS
from modelforge.inits.describe import describe as describe
from modelforge.inits.gains.activations import UnknownActivation as UnknownActivation
from modelforge.inits.gains.activations import activation_names as activation_names
from modelforge.inits.gains.activations import find_activation as find_activation
from modelforge.inits.gains.activations import register_activation as register_activation
from modelforge.inits.gains.activations import unregister_activation as unregister_activation
from modelforge.inits.gains.gain import Gain as Gain
from modelforge.inits.gains.gain import resolve_gain as resolve_gain
from modelforge.inits.gains.statistics import Statistics as Statistics
from modelforge.inits.gains.statistics import statistics as statistics
from modelforge.inits.laws.law import Constant as Constant
from modelforge.inits.laws.law import Drawn as Drawn
from modelforge.inits.laws.law import Law as Law
from modelforge.inits.laws.law import Normal as Normal
from modelforge.inits.laws.law import Uniform as Uniform
from modelforge.inits.laws.truncated_normal import TruncatedNormal as TruncatedNormal
from modelforge.inits.registry import aliases as aliases
from modelforge.inits.registry import create as create
from modelforge.inits.registry import explain_absence as explain_absence
from modelforge.inits.registry import field_names as field_names
from modelforge.inits.registry import get as get
from modelforge.inits.registry import names as names
from modelforge.inits.registry import register_initializer as register_initializer
from modelforge.inits.registry import unregister_initializer as unregister_initializer
from modelforge.inits.schemes.critical import CriticalPoint as CriticalPoint
from modelforge.inits.schemes.critical import critical_point as critical_point
