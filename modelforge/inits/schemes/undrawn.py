"""The schemes that draw nothing: the values come from the module itself or a file, or stay as they are."""

from __future__ import annotations

from typing import ClassVar

from modelforge.inits.base import Source, Undrawn
from modelforge.inits.from_file import FromFile
from modelforge.inits.registry import register_initializer


@register_initializer("torch")
class Torch(Undrawn):
    """What the modules' own `reset_parameters` give: children first, then the modules around them, as constructors do.

    Where several write a parameter, the last one counts; each run has a generator keyed by the seed and the path of its
    module. Values are made on the CPU in float32, then rounded; those of float64 are made in float64.

    Formula: the module's own; for Linear and convolutions w ~ U(-1/√fan_in, 1/√fan_in)
    Source: torch.nn
    """

    values_from: ClassVar[Source] = "module"


@register_initializer("keep")
class Keep(Undrawn):
    """The values that an existing module has already; nothing is written.

    Formula: w = w
    Source: for fine-tuning and for modules that were loaded
    """

    values_from: ClassVar[Source] = "existing"


@register_initializer("pretrained")
class Pretrained(FromFile):
    """Values from a file of tensors: safetensors, or a checkpoint of `torch.save`, of which nothing is run.

    A tensor of the file belongs to the parameter of its name. Whatever does not fit is an error before anything is
    allocated: a covered parameter that the file lacks, a tensor that the model has no place for, another shape. Buffers
    that the file names, such as running statistics, are loaded too. Values are rounded to the parameter's type.

    Formula: w = the tensor of the same name, after `subset`, `strip` and `rename`
    Source: for fine-tuning
    """
