"""Declare neural networks and how they start, in one reviewable config; every parameter filled once, and proven."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from modelforge._version import __version__ as __version__
from modelforge.errors import ForgeError as ForgeError
from modelforge.errors import Place as Place
from modelforge.errors import Problem as Problem

if TYPE_CHECKING:
    from modelforge.build import build as build
    from modelforge.calibrate import calibrate as calibrate
    from modelforge.calibrations import register_calibration as register_calibration
    from modelforge.digest import digest as digest
    from modelforge.from_module import from_module as from_module
    from modelforge.initialize import initialize as initialize
    from modelforge.inits import register_activation as register_activation
    from modelforge.inits import register_initializer as register_initializer
    from modelforge.layers.register import register_layer as register_layer
    from modelforge.ledger import Ledger as Ledger
    from modelforge.lint import lint as lint
    from modelforge.load import load as load
    from modelforge.plan import Plan as Plan
    from modelforge.plan import plan as plan
    from modelforge.review import diff as diff
    from modelforge.spec import ModelSpec as ModelSpec
    from modelforge.spec import parse as parse
    from modelforge.verify import verify as verify

# Imported on first use, so that `import modelforge` and the command line's help stay light.
_LAZY = {
    "Ledger": "modelforge.ledger",
    "ModelSpec": "modelforge.spec",
    "Plan": "modelforge.plan",
    "build": "modelforge.build",
    "calibrate": "modelforge.calibrate",
    "diff": "modelforge.review",
    "digest": "modelforge.digest",
    "from_module": "modelforge.from_module",
    "initialize": "modelforge.initialize",
    "lint": "modelforge.lint",
    "load": "modelforge.load",
    "parse": "modelforge.spec",
    "plan": "modelforge.plan",
    "register_calibration": "modelforge.calibrations",
    "register_activation": "modelforge.inits",
    "register_initializer": "modelforge.inits",
    "register_layer": "modelforge.layers.register",
    "verify": "modelforge.verify",
}
__all__ = ["ForgeError", "Place", "Problem", "__version__", *sorted(_LAZY)]  # pyright: ignore[reportUnsupportedDunderAll]  # lazy names


class _FrontDoor(ModuleType):
    """The package, with functions where submodules have the same names: `mf.plan` is the function, always."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _LAZY and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in _LAZY:
            raise AttributeError(f"module 'modelforge' has no attribute {name!r}")
        value = getattr(import_module(_LAZY[name]), name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return __all__


sys.modules[__name__].__class__ = _FrontDoor
