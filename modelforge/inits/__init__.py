"""The initializers: from a scheme's name and fields, and a block, to values.

>>> xavier = get("xavier")(gain=2.0)
>>> fill = xavier.resolve(Block(shape=(64, 36), fan_in=36, fan_out=64))
>>> round(fill.std, 6), fill.numbers["fan"]
(0.282843, 50.0)
"""

from modelforge.inits import elementary as elementary
from modelforge.inits import gates as gates
from modelforge.inits import orthogonal as orthogonal
from modelforge.inits import sparse as sparse
from modelforge.inits import undrawn as undrawn
from modelforge.inits import variance_scaling as variance_scaling
from modelforge.inits.base import Blockwise, CannotServe, Elementwise, Fill, Initializer, Moments
from modelforge.inits.block import Activation, Block
from modelforge.inits.defaults import ROLE_DEFAULTS
from modelforge.inits.describe import describe
from modelforge.inits.gains import Gain, resolve_gain
from modelforge.inits.laws import Constant, Drawn, Law, Normal, TruncatedNormal, Uniform
from modelforge.inits.registry import aliases, create, field_names, get, names, register_initializer, unregister

__all__ = [
    "ROLE_DEFAULTS",
    "Activation",
    "Block",
    "Blockwise",
    "CannotServe",
    "Constant",
    "Drawn",
    "Elementwise",
    "Fill",
    "Gain",
    "Initializer",
    "Law",
    "Moments",
    "Normal",
    "TruncatedNormal",
    "Uniform",
    "aliases",
    "create",
    "describe",
    "field_names",
    "get",
    "names",
    "register_initializer",
    "resolve_gain",
    "unregister",
]
