"""`csv` and `tensorboard`: curves in the run folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelforge.train.context import Context
from modelforge.train.loggers.registry import LoggerSettings, register_logger

if TYPE_CHECKING:
    from modelforge.train.trackers.files import CSVFiles, TensorBoard


@register_logger("csv")
class CSVSettings(LoggerSettings):
    """`metrics.csv`, one line an epoch, and `steps.csv`, one line a logged step."""

    def make(self, context: Context) -> CSVFiles:
        from modelforge.train.trackers.files import CSVFiles

        return CSVFiles(context.folder, context.rows)


@register_logger("tensorboard")
class TensorBoardSettings(LoggerSettings):
    """Events for TensorBoard: `tensorboard --logdir runs`."""

    def make(self, context: Context) -> TensorBoard:
        from modelforge.train.trackers.files import TensorBoard

        return TensorBoard(context.folder, context.terms.metric)

    def close(self, logger: Any, *, finished: bool) -> None:
        """Closes the file of the events."""
        logger.experiment.close()
