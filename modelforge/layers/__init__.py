"""The layers that a config can name: torch.nn's, the combinators, and the few of our own.

Also the door for classes that modelforge does not know, in `mf.initialize` and in configs: `register_layout` says what
the parameters of a class are, `register_inside` which activations read its children, `register_branches` which
residual branches it has, and `register_reader` how `mf.from_module` reads the arguments that made it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelforge.modules.arguments import Unreadable as Unreadable
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
    "Follows": "structure",
    "ParameterLayout": "parameters",
    "Unreadable": "arguments",
    "forget_class": "by_class",
    "reads": "structure",
    "register_branches": "structure",
    "register_inside": "structure",
    "register_layout": "parameters",
    "register_reader": "arguments",
    "rows": "parameters",
    "transposed": "parameters",
    "vector": "parameters",
    "whole": "parameters",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"modelforge.modules.{_LAZY[name]}"), name)
