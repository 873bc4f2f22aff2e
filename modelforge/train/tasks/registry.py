"""The registry of tasks: from the `task` of a `data` section to its class. One file in this folder adds a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from modelforge.core.complaints import all_wrong, wrong
from modelforge.core.quoting import quoted, shortened
from modelforge.core.registry import Declared, Registry
from modelforge.train.data.parts import TargetKind
from modelforge.train.tasks.task import Mode, Task

TASKS = Registry[type[Task]](
    "a task", "modelforge.tasks", package="modelforge.train.tasks", base=Task, decorator="mf.register_task"
)
"""Every task by its name."""


def register_task(name: str) -> Callable[[Declared], Declared]:
    """Makes a class known as `data.task=name`, for all data with targets of its kind.

    Raises:
        TypeError: the class is not a finished task, or has no docstring.
        ValueError: another class has the name.
    """
    return TASKS.register(name)


def parse_task(section: Any) -> Task:
    """The task that `data.task` declares, by its name or with its settings; Pydantic calls this.

    Example:
        >>> parse_task("classification") == parse_task({"type": "classification"})
        True
        >>> parse_task({"type": "classification", "label_smoothing": 0.1}).label_smoothing
        0.1
    """
    if isinstance(section, Task):
        return section
    named = section.get("type") if isinstance(section, Mapping) else section
    if not isinstance(named, str):
        message = f"must be the name of a task, or a mapping with a `type`, but is {quoted(section)}"
        raise wrong("MF051", message, TASKS.suggest(""))
    if named not in TASKS:
        problem = wrong("MF051", f"unknown task `{shortened(named)}`", TASKS.suggest(named))
        raise all_wrong([(("type",), problem)]) if isinstance(section, Mapping) else problem
    settings = {str(key): value for key, value in section.items()} if isinstance(section, Mapping) else {"type": named}
    return TASKS.get(named).model_validate(settings)


def task_type(section: Any) -> str:
    """The name of the task that a `data` section, which is not checked yet, declares; empty where there is none."""
    task = section.get("task") if isinstance(section, Mapping) else None
    named = task.get("type") if isinstance(task, Mapping) else task
    return named if isinstance(named, str) else ""


def tasks_for(kinds: Iterable[TargetKind]) -> tuple[str, ...]:
    """The names of the tasks that take targets of these kinds."""
    return tuple(name for kind in kinds for name, task in TASKS.entries() if task.target_kind == kind)


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
