"""`wandb` and `mlflow`: trackers, which keep runs side by side. Both are local unless a server is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from modelforge.core.errors import ForgeError
from modelforge.core.quoting import sentence
from modelforge.train.arguments import misuse
from modelforge.train.context import Context
from modelforge.train.loggers.registry import LoggerSettings, register_logger

if TYPE_CHECKING:
    from modelforge.train.trackers.mlflow import MLflow
    from modelforge.train.trackers.wandb import Wandb


@register_logger("wandb")
class WandbSettings(LoggerSettings):
    """A run in Weights & Biases; offline, it is in the run folder, and `wandb sync` sends it later."""

    packages: ClassVar = ("wandb",)
    extra: ClassVar = "wandb"

    mode: Literal["offline", "online"] = "offline"
    """Whether metrics are sent while training, which takes an account and `wandb login`."""
    project: str = "modelforge"
    """The project of the run."""
    entity: str | None = None
    """The user or team that owns it; null for your own."""
    group: str | None = None
    """What the run is shown together with; null for the folder of its sweep, if it is a job of one."""
    name: str | None = None
    """The name of the run; null for the last two parts of its folder."""

    def make(self, context: Context) -> Wandb:
        from modelforge.train.trackers.wandb import Wandb

        name = self.name or context.name
        member = context.membership
        group = self.group or (None if member is None else member.sweep)
        return Wandb(context, mode=self.mode, project=self.project, entity=self.entity, group=group, name=name)

    def close(self, logger: Any, *, finished: bool) -> None:
        """Ends the run."""
        logger.end(finished=finished)


@register_logger("mlflow")
class MLflowSettings(LoggerSettings):
    """A run in MLflow, by default in `mlflow.db` and `mlruns` of the working folder."""

    packages: ClassVar = ("mlflow", "sqlalchemy", "alembic")
    extra: ClassVar = "mlflow"

    tracking_uri: str | None = None
    """Where runs are kept; null for the environment's MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`."""
    experiment: str = "modelforge"
    """The experiment of the run; it is made if there is none."""
    name: str | None = None
    """The name of the run; null for the last two parts of its folder."""

    def make(self, context: Context) -> MLflow:
        from modelforge.train.trackers.mlflow import MLflow

        here = f"sqlite:///{Path('mlflow.db').absolute()}"  # MLflow keeps what it opened by its name
        uri = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or here
        name = self.name or context.name
        try:
            return MLflow(context, tracking_uri=uri, experiment_name=self.experiment, run_name=name)
        except Exception as error:  # of all kinds: drivers of databases have their own
            # Its address may hold a password.
            message = f"MLflow cannot keep this run: {sentence(error)}"
            hint = "`logger.mlflow.tracking_uri=null` keeps it in `mlflow.db` of the working folder"
            raise ForgeError([misuse("logger.mlflow.tracking_uri", message, hint)]) from error

    def close(self, logger: Any, *, finished: bool) -> None:
        """Ends the run."""
        logger.end(finished=finished)
