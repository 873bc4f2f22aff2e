"""The schemes that draw nothing: the values come from the module itself, or stay as they are."""

from __future__ import annotations

from typing import ClassVar, Literal

from modelforge.inits.base import Undrawn
from modelforge.inits.registry import register_initializer


@register_initializer("torch")
class Torch(Undrawn):
    """What the modules' own `reset_parameters` give: children first, then the modules around them, as constructors do.

    Where several write a parameter, the last one counts; each run has a generator keyed by the seed and the path of its
    module. Values are made on the CPU in float32, then rounded; those of float64 are made in float64.

    Formula: the module's own; for Linear and convolutions w ~ U(-1/√fan_in, 1/√fan_in)
    Source: torch.nn
    """

    values_from: ClassVar[Literal["draw", "module", "existing", "file"]] = "module"


@register_initializer("keep")
class Keep(Undrawn):
    """The values that an existing module has already; nothing is written.

    Formula: w = w
    Source: for fine-tuning and for modules that were loaded
    """

    values_from: ClassVar[Literal["draw", "module", "existing", "file"]] = "existing"
