"""`MLflow`: Lightning's logger for MLflow; parameters have the names of override keys, as far as MLflow takes them."""

from __future__ import annotations

import logging
import os
import re
from argparse import Namespace
from collections.abc import Iterable
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported

from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only
from mlflow.entities import Param

from modelforge.train.context import Context

TRACKING_URI = "MLFLOW_TRACKING_URI"
"""The variable of the environment that says where runs are kept."""
MAX_NAME = 250
"""Characters of the name of a parameter that MLflow takes."""
MAX_VALUE = 6000
"""Characters of a parameter that MLflow takes."""
MAX_PARAMS = 100
"""Parameters that it takes at once."""
_NOT_IN_A_NAME = re.compile(r"[^\w./: -]")


class MLflow(MLFlowLogger):
    """A run of its own for each training, with files of the run folder as artifacts.

    Args:
        context: What is known of the run.
        settings: Of Lightning's logger.
    """

    def __init__(self, context: Context, **settings: Any) -> None:
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        tags = {"modelforge.folder": str(context.folder), **{f"modelforge.{tag}": "true" for tag in context.tags}}
        if (member := context.membership) is not None:
            tags |= {"modelforge.sweep": member.sweep, "modelforge.job": str(member.job)}
        super().__init__(tags=tags, **settings)
        asked = os.environ.get(TRACKING_URI)
        experiment = self.experiment
        if asked is None:  # MLflow wrote its own there, which the next run of this process would take for the user's
            os.environ.pop(TRACKING_URI, None)
        else:
            os.environ[TRACKING_URI] = asked
        for path in context.artifacts:
            experiment.log_artifact(self.run_id, str(path))

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Logs them with as much of their names and values as MLflow takes."""
        given = vars(params) if isinstance(params, Namespace) else params
        entries = [
            Param(name, str(value)[:MAX_VALUE]) for name, value in zip(_names(given), given.values(), strict=True)
        ]
        for start in range(0, len(entries), MAX_PARAMS):
            self.experiment.log_batch(self.run_id, params=entries[start : start + MAX_PARAMS])

    @rank_zero_only
    def end(self, *, finished: bool) -> None:
        """Ends the run."""
        self.experiment.set_terminated(self.run_id, "FINISHED" if finished else "FAILED")


def _names(keys: Iterable[str]) -> list[str]:
    """The names of parameters, each another, for override keys.

    >>> _names(["optimizer.lr", "freeze.a*", "freeze.a?"])
    ['optimizer.lr', 'freeze.a_', 'freeze.a_ 2']
    """
    names: dict[str, None] = {}
    for key in keys:
        name, number = _NOT_IN_A_NAME.sub("_", key)[:MAX_NAME], 1
        while name in names:
            number += 1
            mark = f" {number}"
            name = _NOT_IN_A_NAME.sub("_", key)[: MAX_NAME - len(mark)] + mark
        names[name] = None
    return [*names]
