"""`SweepDocument`: a sweep as a program reads it: `modelforge sweep --json`, with a version and a schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, WithJsonSchema

from modelforge._version import __version__
from modelforge.results.effects import effects
from modelforge.results.foresight import foresight, starts_of
from modelforge.results.grouping import Grouped
from modelforge.results.significance import Contrast
from modelforge.results.starts import RunStart
from modelforge.results.sweep import Row, State

FORMAT_VERSION = "1.2"
"""The minor number rises with additions, the major one with everything else."""


class Data(BaseModel):
    """Frozen; unknown keys are refused. Reads the attributes of what it is made of."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True, ser_json_inf_nan="strings")


Energy = Annotated[float, WithJsonSchema({"anyOf": [{"type": "number"}, {"const": "Infinity"}]})]
"""A number, or the text `Infinity`, which JSON has no number for."""


class JobData(Data):
    """One job."""

    folder: str
    """Relative to the folder that was given."""
    number: int | None
    """In its sweep; null for a run outside a multirun."""
    state: State
    overrides: dict[str, str]
    metrics: dict[str, float]
    optimized_metric: str
    seconds: float | None
    """Of training and testing."""
    reason: str
    """Why it did not finish."""
    predicted_signal: Energy | None = None
    """E x² of the last layer as predicted, for inputs of 1."""
    predicted_gradient: Energy | None = None
    """E g² at the input as predicted, of a sequence at its first step, for outputs of 1."""
    first_gradient: Energy | None = None
    """Norm of the gradient of the first layer in the first step."""


class GroupData(Data):
    """Jobs that are repetitions of one another."""

    values: dict[str, str]
    metric: str
    mean: float | None
    std: float | None
    """Over repetitions; null for fewer than two."""
    n: int
    """Repetitions that the mean is over."""
    expected: int
    """Repetitions that there should be."""
    lacks: str
    """What the mean leaves out; empty where it is over all."""
    counts: dict[str, int]
    folders: list[str]
    baseline: dict[str, str] | None
    """The values of the group that it is compared with; null where it is a baseline itself."""
    difference: float | None
    """Its mean less that of the baseline."""
    within_spread: bool
    """Whether the difference is below the spread over repetitions."""
    test: str
    """`paired`, `Welch`, or empty where there is no test."""
    p: float | None
    p_adjusted: float | None
    """Corrected by Holm's method for the comparisons with a named baseline, or for all pairs."""


class EffectData(Data):
    """One value of one key, over all jobs that have it."""

    key: str
    value: str
    mean: float | None
    std: float | None
    n: int
    counts: dict[str, int]


class ForesightData(Data):
    """Jobs of which an exploding gradient was predicted, or not."""

    explodes: bool
    finished: int
    diverged: int
    median: float | None


class SweepDocument(Data):
    """The jobs of one or several folders, best first, and what they say together."""

    format_version: str = FORMAT_VERSION
    modelforge: str
    folders: list[str]
    metric: str
    """Empty where jobs optimize different metrics."""
    lower_is_better: bool
    keys: list[str]
    """The overrides that differ between jobs."""
    counts: dict[str, int]
    damaged: list[str] = []
    """Lists of jobs that cannot be read, each in a sentence."""
    unequal: list[str] = []
    """What results do not have in common though no setting says so, as the data, each in a sentence."""
    rows: list[JobData]
    averaged_over: list[str]
    groups: list[GroupData]
    effects: list[EffectData]
    foresight: list[ForesightData]


def document(grouped: Grouped, compared: Sequence[Contrast]) -> SweepDocument:
    """The document of a sweep in groups.

    Args:
        grouped: The jobs.
        compared: Each group beside its baseline.
    """
    sweep = grouped.sweep
    starts = starts_of(sweep.rows)
    return SweepDocument(
        modelforge=__version__,
        folders=[*sweep.folders],
        metric=sweep.metric,
        lower_is_better=sweep.lower_is_better,
        keys=[*sweep.keys],
        counts=dict(sweep.counts),
        damaged=[*sweep.damaged],
        unequal=[*sweep.unequal],
        rows=[_job(row, starts.get(row.folder, RunStart())) for row in sweep.rows],
        averaged_over=[*grouped.over],
        groups=[_group(one) for one in compared],
        effects=[EffectData.model_validate(one) for one in effects(sweep)],
        foresight=[ForesightData.model_validate(one) for one in foresight(sweep, starts).rows],
    )


def sweep_schema() -> dict[str, Any]:
    """The JSON Schema of a sweep's document."""
    return SweepDocument.model_json_schema(mode="serialization")


def _job(row: Row, start: RunStart) -> JobData:
    return JobData(
        folder=row.folder,
        number=row.listed_number,
        state=row.state,
        overrides=dict(row.overrides),
        metrics=dict(row.metrics),
        optimized_metric=row.optimized_metric,
        seconds=row.seconds,
        reason=row.reason,
        predicted_signal=start.predicted_signal,
        predicted_gradient=start.predicted_gradient,
        first_gradient=start.first_gradient,
    )


def _group(contrast: Contrast) -> GroupData:
    one = contrast.group
    return GroupData(
        values=dict(one.values),
        metric=one.metric,
        mean=one.mean,
        std=one.std,
        n=one.n,
        expected=one.expected,
        lacks=one.lacks,
        counts=dict(one.counts),
        folders=[row.folder for row in one.rows],
        baseline=None if contrast.baseline is None else dict(contrast.baseline.values),
        difference=contrast.difference,
        within_spread=contrast.within,
        test=contrast.test,
        p=contrast.p,
        p_adjusted=contrast.adjusted,
    )
