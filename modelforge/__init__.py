"""Declare neural networks and how they start, in one reviewable config; every parameter filled once, and proven."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from modelforge._version import __version__ as __version__
from modelforge.core.errors import ForgeError as ForgeError
from modelforge.core.errors import Place as Place
from modelforge.core.errors import Problem as Problem

if TYPE_CHECKING:
    from modelforge.building.build import build as build
    from modelforge.building.digest import digest as digest
    from modelforge.building.initialize import initialize as initialize
    from modelforge.building.ledger import Ledger as Ledger
    from modelforge.building.verify import verify as verify
    from modelforge.calibration import register_calibration as register_calibration
    from modelforge.calibration.calibrate import calibrate as calibrate
    from modelforge.core.plugins import load_plugins as load_plugins
    from modelforge.diagnosis.diagnose import diagnose as diagnose
    from modelforge.inits import register_activation as register_activation
    from modelforge.inits import register_initializer as register_initializer
    from modelforge.language import ModelSpec as ModelSpec
    from modelforge.language import parse as parse
    from modelforge.language.load import load as load
    from modelforge.layers.register import register_layer as register_layer
    from modelforge.linting.lint import lint as lint
    from modelforge.linting.rule import register_rule as register_rule
    from modelforge.planning.plan import Plan as Plan
    from modelforge.planning.plan import plan as plan
    from modelforge.review.diff import diff as diff
    from modelforge.signal.predict import predict as predict
    from modelforge.signal.probe import probe as probe
    from modelforge.signal.rule import register_signal as register_signal
    from modelforge.signal.solve import solve as solve
    from modelforge.tracing import from_module as from_module
    from modelforge.train.callbacks.registry import register_callback as register_callback
    from modelforge.train.data.registry import register_data as register_data
    from modelforge.train.data.source import Source as Source
    from modelforge.train.data.source import SplitSource as SplitSource
    from modelforge.train.loggers.registry import register_logger as register_logger
    from modelforge.train.metrics import register_metric as register_metric
    from modelforge.train.optimizers.param_groups import param_groups as param_groups
    from modelforge.train.tasks.registry import register_task as register_task
    from modelforge.train.tasks.task import Task as Task
    from modelforge.train.trained_run import Run as Run
    from modelforge.train.trained_run import load_run as load_run

# Imported on first use, so that `import modelforge` and the command line's help stay light.
_LAZY = {
    "Ledger": "modelforge.building.ledger",
    "ModelSpec": "modelforge.language",
    "Plan": "modelforge.planning.plan",
    "Run": "modelforge.train.trained_run",
    "Source": "modelforge.train.data.source",
    "SplitSource": "modelforge.train.data.source",
    "Task": "modelforge.train.tasks.task",
    "build": "modelforge.building.build",
    "calibrate": "modelforge.calibration.calibrate",
    "diagnose": "modelforge.diagnosis.diagnose",
    "diff": "modelforge.review.diff",
    "digest": "modelforge.building.digest",
    "from_module": "modelforge.tracing",
    "initialize": "modelforge.building.initialize",
    "lint": "modelforge.linting.lint",
    "load": "modelforge.language.load",
    "param_groups": "modelforge.train.optimizers.param_groups",
    "load_plugins": "modelforge.core.plugins",
    "load_run": "modelforge.train.trained_run",
    "parse": "modelforge.language",
    "plan": "modelforge.planning.plan",
    "predict": "modelforge.signal.predict",
    "probe": "modelforge.signal.probe",
    "register_calibration": "modelforge.calibration",
    "register_callback": "modelforge.train.callbacks.registry",
    "register_activation": "modelforge.inits",
    "register_data": "modelforge.train.data.registry",
    "register_initializer": "modelforge.inits",
    "register_layer": "modelforge.layers.register",
    "register_metric": "modelforge.train.metrics",
    "register_rule": "modelforge.linting.rule",
    "register_signal": "modelforge.signal.rule",
    "register_task": "modelforge.train.tasks.registry",
    "register_logger": "modelforge.train.loggers.registry",
    "solve": "modelforge.signal.solve",
    "verify": "modelforge.building.verify",
}
__all__ = ["ForgeError", "Place", "Problem", "__version__", *sorted(_LAZY)]  # pyright: ignore[reportUnsupportedDunderAll]  # lazy names


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'modelforge' has no attribute {name!r}")
    random: Any = sys.modules.get("random")
    before = random and random.getstate()
    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    if random:  # Rich draws from it when it is imported
        random.setstate(before)
    return value


def __dir__() -> list[str]:
    return __all__
