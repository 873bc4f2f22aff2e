"""The initializers: from a scheme's name and fields, and a block, to values.

>>> xavier = get("xavier")(gain=2.0)
>>> fill = xavier.resolve(Block(shape=(64, 36), fan_in=36, fan_out=64))
>>> round(fill.std, 6), fill.numbers["fan"]
(0.282843, 50.0)
"""

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Activation, Attention, Block, Branch, Context
from modelforge.inits.base import Blockwise, Elementwise, Fill, Initializer, Moments
from modelforge.inits.defaults import ROLE_DEFAULTS
from modelforge.inits.describe import describe
from modelforge.inits.gains.activations import (
    UnknownActivation,
    activation_names,
    find_activation,
    register_activation,
    unregister_activation,
)
from modelforge.inits.gains.gain import Gain, resolve_gain
from modelforge.inits.gains.statistics import Statistics, statistics
from modelforge.inits.laws.law import Constant, Drawn, Law, Normal, TruncatedNormal, Uniform
from modelforge.inits.registry import (
    aliases,
    create,
    explain_absence,
    field_names,
    get,
    names,
    register_initializer,
    unregister_initializer,
)
from modelforge.inits.schemes.critical import CriticalPoint, critical_point

__all__ = [
    "ROLE_DEFAULTS",
    "Activation",
    "Attention",
    "Block",
    "Blockwise",
    "Branch",
    "Constant",
    "Context",
    "CriticalPoint",
    "Drawn",
    "Elementwise",
    "Fill",
    "Gain",
    "Initializer",
    "Law",
    "Moments",
    "Normal",
    "Refusal",
    "Statistics",
    "TruncatedNormal",
    "Uniform",
    "UnknownActivation",
    "activation_names",
    "aliases",
    "create",
    "critical_point",
    "describe",
    "explain_absence",
    "field_names",
    "find_activation",
    "get",
    "names",
    "register_activation",
    "register_initializer",
    "resolve_gain",
    "statistics",
    "unregister_activation",
    "unregister_initializer",
]
