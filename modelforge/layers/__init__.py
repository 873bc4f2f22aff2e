"""The layers that a config can name: torch.nn's, the combinators, and the few of our own.

Also the door for classes that modelforge does not know, in `mf.initialize` and in configs: `register_layout` says what
the parameters of a class are, `register_inside` which activations read its children, `register_branches` which
residual branches it has, and `register_reader` how `mf.from_module` reads the arguments that made it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelforge.core.errors import Refusal as Refusal
    from modelforge.layers.register import unregister_layer as unregister_layer
    from modelforge.modules.arguments import register_reader as register_reader
    from modelforge.modules.by_class import forget_class as forget_class
    from modelforge.modules.parameters import ParameterLayout as ParameterLayout
    from modelforge.modules.parameters import register_layout as register_layout
    from modelforge.modules.parameters import rows as rows
    from modelforge.modules.parameters import transposed as transposed
    from modelforge.modules.parameters import vector as vector
    from modelforge.modules.parameters import whole as whole
    from modelforge.modules.structure import Follows as Follows
    from modelforge.modules.structure import reads as reads
    from modelforge.modules.structure import register_branches as register_branches
    from modelforge.modules.structure import register_inside as register_inside

# Imported on first use: the registry of layers serves where torch is not wanted.
_LAZY = {
    "Refusal": "core.errors",
    "Follows": "modules.structure",
    "ParameterLayout": "modules.parameters",
    "forget_class": "modules.by_class",
    "reads": "modules.structure",
    "register_branches": "modules.structure",
    "register_inside": "modules.structure",
    "register_layout": "modules.parameters",
    "register_reader": "modules.arguments",
    "rows": "modules.parameters",
    "transposed": "modules.parameters",
    "unregister_layer": "layers.register",
    "vector": "modules.parameters",
    "whole": "modules.parameters",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"modelforge.{_LAZY[name]}"), name)
