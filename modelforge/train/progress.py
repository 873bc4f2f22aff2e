"""The progress of a training: one live line on a terminal, at most ten plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from modelforge.core.words import digits

REFRESH_SECONDS = 0.1
NUM_PLAIN_LINES = 10


class EpochBar(ProgressBar):
    """Epochs, loss and the task's `metric` of training and validation; `console` decides whether it can be live.

    What is `optimized`, such as `val/auroc`, is shown as well where it is none of these.
    """

    def __init__(self, console: Console, metric: str, optimized: str = "val/loss") -> None:
        super().__init__()
        self.console = console
        trained = {"train/loss": "loss", f"train/{metric}": metric}
        self.short = {**trained, f"val/{metric}": "val"}
        self.long = {**trained, "val/loss": "val loss", f"val/{metric}": f"val {metric}"}
        if optimized not in self.long:
            self.short[optimized] = self.long[optimized] = optimized.replace("/", " ")
        self._enabled = True
        self._bar: Progress | None = None
        self._last_refresh = 0.0

    def disable(self) -> None:
        """Lightning calls this on all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """The opposite of `disable`."""
        self._enabled = True

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Prints above the bar; Lightning's `self.print` comes here."""
        self.console.print(*args)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the bar."""
        if not self._enabled or not self.console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[values]}"),
            TimeElapsedColumn(),
            console=self.console,
            refresh_per_second=1 / REFRESH_SECONDS,
        )
        steps = trainer.estimated_stepping_batches
        total = None if math.isinf(steps) else int(steps)
        self._bar.add_task("training", total=total, completed=trainer.global_step, values="")
        self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar, ten times a second at most."""
        now = time.monotonic()
        if self._bar is not None and now - self._last_refresh >= REFRESH_SECONDS:
            self._last_refresh = now
            self._show(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the values of the epoch, or prints a line of them for every tenth of the training."""
        done, total = _count(trainer)
        if self._bar is not None:
            self._show(trainer)
        elif self._enabled and _is_shown(done, total):
            self.console.print(f"{_epoch(trainer)}  {_values(trainer, self.long)}", highlight=False, soft_wrap=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leaves the finished bar on the screen."""
        self._stop(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leaves the broken bar on the screen."""
        self._stop(trainer)

    def _show(self, trainer: Trainer) -> None:
        assert self._bar is not None
        values = _values(trainer, self.short)
        self._bar.update(
            self._bar.task_ids[0], completed=trainer.global_step, description=_epoch(trainer), values=values
        )

    def _stop(self, trainer: Trainer) -> None:
        if self._bar is not None:
            self._show(trainer)
            self._bar.stop()
            self._bar = None


def _is_shown(done: int, total: int) -> bool:
    """Whether an epoch is the first of another tenth of all; each where they are not limited.

    Example:
        >>> [done for done in range(1, 20) if _is_shown(done, 19)]
        [2, 4, 6, 8, 10, 12, 14, 16, 18, 19]
    """
    return not total or done * NUM_PLAIN_LINES // total > (done - 1) * NUM_PLAIN_LINES // total


def _epoch(trainer: Trainer) -> str:
    done, total = _count(trainer)
    return f"epoch {min(done, total):>{len(str(total))}}/{total}" if total else f"epoch {done}"


def _values(trainer: Trainer, names: Mapping[str, str]) -> str:
    metrics = trainer.callback_metrics
    return "  ".join(f"{word} {digits(float(metrics[name]))}" for name, word in names.items() if name in metrics)


def of_optimized(optimized: str, metric: str, metrics: Mapping[str, float]) -> Iterator[str]:
    """What the best checkpoint was chosen by, on the test part, in words; the `metric` of the task is named anyway."""
    name = optimized.removeprefix("val/")
    if name not in ("loss", metric) and (value := metrics.get(f"test/{name}")) is not None:
        yield f"test {name} {digits(value)}"


def _count(trainer: Trainer) -> tuple[int, int]:
    """The number of this epoch, and of all; 0 where they are not limited."""
    return trainer.current_epoch + 1, max(trainer.max_epochs or 0, 0)
