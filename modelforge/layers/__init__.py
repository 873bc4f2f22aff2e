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
    from modelforge.modules.arguments import forget_reader as forget_reader
    from modelforge.modules.arguments import register_reader as register_reader
    from modelforge.modules.parameters import ParameterLayout as ParameterLayout
    from modelforge.modules.parameters import forget_layout as forget_layout
    from modelforge.modules.parameters import register_layout as register_layout
    from modelforge.modules.parameters import rows as rows
    from modelforge.modules.parameters import transposed as transposed
    from modelforge.modules.parameters import vector as vector
    from modelforge.modules.parameters import whole as whole
    from modelforge.modules.structure import Follows as Follows
    from modelforge.modules.structure import forget_branches as forget_branches
    from modelforge.modules.structure import forget_inside as forget_inside
    from modelforge.modules.structure import reads as reads
    from modelforge.modules.structure import register_branches as register_branches
    from modelforge.modules.structure import register_inside as register_inside

# Imported on first use: the registry of layers serves where torch is not wanted.
_LAZY = {
    "Follows": "inside",
    "ParameterLayout": "layouts",
    "Unreadable": "reading",
    "forget_branches": "inside",
    "forget_inside": "inside",
    "forget_layout": "layouts",
    "forget_reader": "reading",
    "reads": "inside",
    "register_branches": "inside",
    "register_inside": "inside",
    "register_layout": "layouts",
    "register_reader": "reading",
    "rows": "layouts",
    "transposed": "layouts",
    "vector": "layouts",
    "whole": "layouts",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
