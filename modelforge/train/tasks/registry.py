"""The registry of tasks: from the `task` of a `data` section to its class. One file in this folder adds a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from modelforge.core.plugins import check_declaration
from modelforge.core.registry import Registry
from modelforge.train.data.parts import TargetKind
from modelforge.train.tasks.task import Data, Mode, Task

AnyTask = TypeVar("AnyTask", bound=type[Task])

TASKS = Registry[type[Task]](
    "a task", "modelforge.tasks", package="modelforge.train.tasks", decorator="mf.register_task"
)
"""Every task by its name."""


def register_task(name: str) -> Callable[[AnyTask], AnyTask]:
    """Makes a class known as `data.task=name`, for all data with targets of its kind.

    Raises:
        TypeError: the class is no finished task, or has no docstring.
        ValueError: another class has the name.
    """

    def register(cls: AnyTask) -> AnyTask:
        check_declaration(cls, Task, "Task")
        TASKS.add(name, cls)
        return cls

    return register


def tasks_for(kinds: Iterable[TargetKind]) -> tuple[str, ...]:
    """The names of the tasks that take targets of these kinds."""
    return tuple(name for kind in kinds for name, task in TASKS.entries() if task.target_kind == kind)


def task_of(data: Data) -> Task:
    """The task of a `data` section."""
    return TASKS.get(data.task)(data)


def main_metric(task: str) -> str:
    """The metric that chooses the best checkpoint unless the config says otherwise.

    Example:
        >>> main_metric("regression")
        'val/r2'
    """
    return f"val/{TASKS.get(task).metric}" if task in TASKS else "val/loss"


def val_metrics(*tasks: str) -> Mapping[str, Mode]:
    """The metrics that validations of these tasks give, each with its better direction.

    Example:
        >>> dict(val_metrics("regression"))
        {'val/r2': 'max', 'val/loss': 'min'}
    """
    metrics: dict[str, Mode] = {
        f"val/{name}": "min" if name in task.lower_is_better else "max"
        for task in map(TASKS.get, tasks)
        for name in (task.metric, "loss")
    }
    return MappingProxyType(metrics)
