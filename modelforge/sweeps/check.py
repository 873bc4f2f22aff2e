"""`Checker`: whether each of many jobs can run, where what several have in common is looked at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelforge.config import Config
from modelforge.core.errors import ForgeError
from modelforge.language import parse
from modelforge.planning.plan import Plan, plan
from modelforge.planning.study import Studies
from modelforge.train.data.read import look
from modelforge.train.prepare import located, prepare
from modelforge.train.trainer import check_trainer

MODEL = ("modelforge", "model", "init", "weights", "dtype")
"""Sections that a plan is made of."""


@dataclass
class Checker:
    """Checks configs as a run does before it starts: model, settings, data, and that this machine can do it."""

    studies: Studies = field(default_factory=Studies)
    plans: dict[str, Plan | ForgeError] = field(default_factory=dict[str, Plan | ForgeError])
    seen: set[str] = field(default_factory=set[str])
    """Data and trainers that were looked at."""

    def check(self, config: Config) -> None:
        """Checks one config.

        Raises:
            ForgeError: all that is wrong with it.
        """
        with located(config):
            job = prepare(config, planned=self._plan)
            self._once(f"data {_text(config.values.get('data'))}", lambda: look(job.settings.data))
            capturable = job.optimizer.capturable
            key = f"trainer {capturable} {_text(config.values.get('trainer'))}"
            self._once(key, lambda: _check_trainer(job.trainer, capturable=capturable))

    def _plan(self, config: Config) -> Plan:
        key = _text({name: config.values.get(name) for name in MODEL} | {"keys": sorted(config.values)})
        if key not in self.plans:
            try:
                self.plans[key] = plan(parse(config), self.studies)
            except ForgeError as error:
                self.plans[key] = error
        found = self.plans[key]
        if isinstance(found, ForgeError):
            raise found
        return found

    def _once(self, key: str, check: Callable[[], object]) -> None:
        """Checks what the key stands for, unless that was found good before."""
        if key not in self.seen:
            check()
            self.seen.add(key)


def _check_trainer(arguments: Mapping[str, Any], *, capturable: bool) -> None:
    if problems := check_trainer(arguments, capturable=capturable):
        raise ForgeError(problems)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
