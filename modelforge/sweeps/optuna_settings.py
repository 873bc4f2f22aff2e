"""`OptunaSettings`: what `hydra.sweeper` says of a search by Optuna. Needs no Optuna."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, ValidationError, model_validator

from modelforge.core.complaints import Owner, all_wrong, problems, wrong
from modelforge.core.errors import ForgeError
from modelforge.core.frozen import FrozenDict, Node


class SamplerSettings(Node):
    """How the points of a search are chosen."""

    name: Literal["tpe", "random", "gp", "qmc"] = "tpe"
    """Optuna's tree-structured Parzen estimator, independent draws, a Gaussian process, or a quasi-random sequence."""
    seed: NonNegativeInt | None = 0
    """Of the points; null: others each time."""
    n_startup_trials: NonNegativeInt = 10
    """Points that are drawn independently before `tpe` or `gp` learns from them."""
    multivariate: bool = False
    """Whether `tpe` looks at all keys together."""
    constant_liar: bool = True
    """Whether `tpe` keeps away from the points of trials that still run."""

    @model_validator(mode="after")
    def _check_reads(self) -> Self:
        read_by = {"n_startup_trials": ("tpe", "gp"), "multivariate": ("tpe",), "constant_liar": ("tpe",)}
        fields = type(self).model_fields
        if unread := [
            name for name, samplers in read_by.items()
            if self.name not in samplers and getattr(self, name) != fields[name].default
        ]:  # fmt: skip
            raise all_wrong(
                ((name,), wrong("MF001", f"`{name}` has no effect: the sampler is `{self.name}`", "leave it out"))
                for name in unread
            )
        return self


class OptunaSettings(Node):
    """A search, as `hydra.sweeper` sets it."""

    params: FrozenDict[str, Any] = FrozenDict()
    """Overrides of the trials, by key, in the words of the command line."""
    n_trials: PositiveInt = 20
    """The trials of the study, those of all processes that share it together."""
    n_jobs: PositiveInt = 1
    """How many trials this process launches together; the next ones wait until all of these have ended."""
    timeout: PositiveFloat | None = None
    """Seconds after which this process begins no further trial."""
    direction: Literal["minimize", "maximize"] | None = None
    """Which values are best; null: as the optimized metric has it."""
    sampler: SamplerSettings = SamplerSettings()
    """How the points are chosen."""


def parse_settings(section: dict[str, Any]) -> OptunaSettings:
    """The settings of a search.

    Raises:
        ForgeError: all that is wrong with them.
    """
    given = {
        name: value
        for name, value in section.items()
        if name != "_target_" and not (name == "params" and value is None)
    }
    try:
        return OptunaSettings.model_validate(given)
    except ValidationError as error:
        owner = Owner("the sweeper `optuna`", "setting", OptunaSettings, unknown="MF001", wrong="MF001")
        raise ForgeError(problems(error, "hydra.sweeper", owner)) from error
