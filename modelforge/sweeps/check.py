"""`Checker`: whether each of many jobs can run, where what several have in common is looked at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelforge.config.compose import Config
from modelforge.core.errors import ForgeError, Problem
from modelforge.planning.plan import Plan
from modelforge.train.data.read import look
from modelforge.train.data.source import Source
from modelforge.train.lengths import Lengths
from modelforge.train.optimizers.optimizer import OptimizerFactory
from modelforge.train.prepare import Looks, located, prepare, settled
from modelforge.train.trainer import check_trainer

MODEL = ("modelforge", "model", "init", "weights", "dtype")
"""Sections that a plan is made of."""
BY_PLACE = ("MW110", "MW212")
"""Warnings about what an override left of a file: a frozen job no longer knows."""


@dataclass
class Checker(Looks):
    """Checks configs as a run does before it starts: model, settings, data, and that this machine can do it."""

    plans: dict[str, Plan | ForgeError] = field(default_factory=dict[str, Plan | ForgeError])
    short: dict[Any, list[Problem]] = field(default_factory=dict[Any, list[Problem]])
    seen: set[str] = field(default_factory=set[str])
    """Data and trainers that were looked at."""

    def check(self, config: Config) -> tuple[Config, list[Problem]]:
        """Checks one config.

        Returns:
            The config as it is frozen, and warnings that need to know where its values were written.

        Raises:
            ForgeError: all that is wrong with it.
        """
        with located(config):
            job = prepare(config, looks=self)
            self._once(f"data {_text(config.values.get('data'))}", lambda: look(job.settings.data))
            steps = f"{job.optimizer.capturable} {job.optimizer.evaluates_again}"
            key = f"trainer {steps} {_text(config.values.get('trainer'))}"
            self._once(key, lambda: _check_trainer(job.trainer, job.optimizer))
        by_place = [problem for problem in job.plan.warnings if problem.code in BY_PLACE]
        return settled(config), [problem for problem in job.warnings if problem.code in BY_PLACE] + by_place

    def plan(self, config: Config) -> Plan:
        """The plan of a config; jobs with one model have one."""
        key = _text({name: config.values.get(name) for name in MODEL} | {"keys": sorted(config.values)})
        if key not in self.plans:
            try:
                self.plans[key] = super().plan(config)
            except ForgeError as error:
                self.plans[key] = error
        found = self.plans[key]
        if isinstance(found, ForgeError):
            raise found
        return found

    def too_short(self, plan: Plan, source: Source, length: Lengths) -> list[Problem]:
        """Whether a last batch is too short for the model, of each model and number of examples once."""
        key = id(plan), repr(source), repr(length)
        if key not in self.short:
            self.short[key] = super().too_short(plan, source, length)
        return self.short[key]

    def _once(self, key: str, check: Callable[[], object]) -> None:
        """Checks what the key stands for, unless that was found good before."""
        if key not in self.seen:
            check()
            self.seen.add(key)


def _check_trainer(arguments: Mapping[str, Any], optimizer: OptimizerFactory) -> None:
    if problems := check_trainer(arguments, optimizer):
        raise ForgeError(problems)


def _text(value: Any) -> str:
    return json.dumps(value, default=str)
