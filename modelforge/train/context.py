"""`Terms` and `Context`: what a callback or a logger may know of its run, before it is built and when it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelforge.building.ledger import Ledger
from modelforge.core.paths import join
from modelforge.planning.plan import Plan
from modelforge.results.collect import Membership, membership
from modelforge.train.rows import Rows
from modelforge.train.tasks.task import Mode


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known of a run once its config is read."""

    metric: str
    """The optimized metric."""
    metrics: Mapping[str, Mode]
    """The metrics of a validation, each with its better direction."""
    trainer: Mapping[str, Any]
    """The checked `trainer` section."""
    has_scheduler: bool
    """Whether a scheduler sets the learning rate."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a run once its model is built."""

    terms: Terms
    folder: Path
    """The run folder; plan.json, ledger.json and config.yaml are in it."""
    plan: Plan
    """What was decided of the model."""
    ledger: Ledger
    """What its parameters started with."""
    config: Mapping[str, Any]
    """The composed config, without references."""
    rows: Rows
    """The metrics so far, of epochs and of steps."""
    say: Callable[[str], None]
    """Prints a line where the progress of the run is shown."""
    prune: Callable[[], None] = lambda: None
    """Notes that the training ends before its last epoch, since other trials of a search do better."""

    @property
    def mode(self) -> Mode:
        """Whether the lowest or the highest value of the optimized metric is best."""
        return self.terms.metrics[self.terms.metric]

    @property
    def name(self) -> str:
        """The last two parts of the run folder."""
        return "/".join(self.folder.absolute().parts[-2:])

    @property
    def tags(self) -> tuple[str, ...]:
        """The user's own words for the run."""
        return tuple(self.config.get("tags") or ())

    @property
    def membership(self) -> Membership | None:
        """The multirun that the run is a job of, if any."""
        return membership(self.folder)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The values of the config by their override keys: `{"optimizer.lr": 0.001}`; of a job its place in its sweep.

        Trackers group by them: `sweep.folder` and `sweep.job`.
        """
        found = dict(flat(self.config))
        if (member := self.membership) is not None:
            found |= {"sweep.folder": member.sweep, "sweep.job": member.job}
        return found

    @property
    def artifacts(self) -> tuple[Path, ...]:
        """The files of the run folder that describe it, as far as they are there."""
        return tuple(path for name in ARTIFACTS if (path := self.folder / name).exists())


ARTIFACTS = ("config.yaml", "plan.json", "ledger.json", "preprocessing.json")


def flat(values: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a config that is not a mapping, with its override key.

    Example:
        >>> dict(flat({"seed": 0, "model": {"input": {"shape": [1, 8]}}, "callbacks": {}}))
        {'seed': 0, 'model.input.shape': '[1, 8]'}
    """
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield from flat(value, join(key, name))
    elif isinstance(values, list | tuple):
        yield key, str([*values])
    else:
        yield key, values
