"""The metric that a scheduler follows, what keeps it from that, and what makes a metric of no use to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from modelforge.core.errors import Problem
from modelforge.core.quoting import quoted
from modelforge.train.arguments import misuse

PLATEAU = "ReduceLROnPlateau"
"""The scheduler that follows a metric."""


def with_monitor(
    section: Mapping[str, Any], metrics: Mapping[str, Literal["min", "max"]], metric: str
) -> Mapping[str, Any]:
    """The section with the `monitor` of a plateau, by default the optimized metric, and its better direction as `mode`.

    Args:
        section: The section.
        metrics: The metrics that a scheduler may follow, each with its better direction.
        metric: The optimized one.
    """
    if section.get("type") != PLATEAU:
        return section
    monitor = metric if section.get("monitor") is None else section["monitor"]
    mode = section.get("mode")
    if mode is None:
        mode = metrics.get(monitor, "min") if isinstance(monitor, str) else "min"
    return {**section, "monitor": monitor, "mode": mode}


def wrong_monitor(
    name: str | None,
    mode: Any,
    timing: Mapping[str, Any],
    metrics: Mapping[str, Literal["min", "max"]],
    trainer: Any,
) -> Iterator[Problem]:
    """The problems of `monitor`.

    Args:
        name: The scheduler; None where it is not known.
        mode: That of a plateau.
        timing: `interval` and `monitor`.
        metrics: The metrics that a scheduler may follow, each with its better direction.
        trainer: The `trainer` section, which sets when there is a validation.
    """
    monitor = timing.get("monitor")
    if monitor is None:
        return
    if not isinstance(monitor, str) or monitor not in metrics:
        message = f"`monitor` must be {' or '.join(map(repr, metrics))}, but is {quoted(monitor)}"
        hint = "null: the optimized metric" if name == PLATEAU else ""
        yield misuse("scheduler.monitor", message, hint)
    elif name == PLATEAU:
        trainer = trainer if isinstance(trainer, Mapping) else {}
        yield from _plateau(mode, timing.get("interval", "epoch"), monitor, metrics[monitor], trainer)
    elif name is not None:
        message = f"`monitor` has no effect: {name} steps by time alone"
        yield misuse("scheduler.monitor", message, "leave it out: `~scheduler.monitor`")


def _plateau(mode: Any, interval: str, monitor: str, right: str, trainer: Mapping[str, Any]) -> Iterator[Problem]:
    if mode in ("min", "max") and mode != right:
        better = "lower" if right == "min" else "higher"
        message = f"`mode` is {mode!r}, but {better} `{monitor}` is better"
        yield misuse("scheduler.mode", message, f"write `scheduler.mode={right}`, or null: it follows")
    if interval == "step":
        message = f"{PLATEAU} follows validations, and there is none after each step"
        yield misuse("scheduler.interval", message, "write `scheduler.interval=epoch`")
    if trainer.get("limit_val_batches", 1) == 0:
        message = f"`scheduler.monitor` is `{monitor}`, but there are no validations"
        yield misuse("trainer.limit_val_batches", message, "leave it out, or choose another scheduler")
    if "check_val_every_n_epoch" in trainer and trainer["check_val_every_n_epoch"] is None:
        message = f"{PLATEAU} is stepped after epochs, but validations do not come with them"
        yield misuse("trainer.check_val_every_n_epoch", message, "write `trainer.check_val_every_n_epoch=1`")
