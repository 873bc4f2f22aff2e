"""`ProbedNode`: what was measured of one module; from what each seed and each call saw of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from modelforge.signal.measures import Moments
from modelforge.signal.watch import Record, Seen


@dataclass(frozen=True, slots=True)
class Step:
    """One time step, or one call of a module that is called several times."""

    forward: Moments
    gradient: Moments | None


@dataclass(frozen=True, slots=True)
class ProbedNode:
    """What one module makes of the batch, and the gradient that reaches it. Over several calls and seeds: means."""

    path: str
    """Of the module; empty for the whole network. States of recurrent layers are `rnn.h_l0` and, of an LSTM,
    `rnn.c_l0`."""
    kind: str
    """The module's class."""
    shape: tuple[int, ...]
    """Of what its first call gives, with the batch."""
    forward: Moments
    gradient: Moments | None
    """Of the gradient with respect to what it gives; None where none arrives."""
    saturated: float | None
    """Of an activation: the share of inputs at which its slope is below 5 % of its steepest."""
    num_units: int
    num_dead: float | None
    """Units whose value is the same for every example and place; None for a batch of one value each."""
    effective_rank: float | None
    """Of the matrix of examples and places × units; None where all its values are zero."""
    steps: tuple[Step, ...]
    """In the order of time or of calls; empty for a module that is called once."""

    def to_dict(self) -> dict[str, Any]:
        """The node as plain data."""
        return finite(asdict(self))


def finite(value: Any) -> Any:
    """Plain data as JSON has it: tuples are lists, and a number that is not finite is None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- means over calls and seeds ---------------------------------------------------------------------------------------


def node_of(runs: Sequence[Record]) -> ProbedNode:
    """The node of one module, from what each seed saw of it."""
    calls = [seen for record in runs for seen in record.seen]
    first = calls[0]
    num_steps = min(len(record.seen) for record in runs)
    times = [[record.seen[time] for record in runs] for time in range(num_steps)] if num_steps > 1 else []
    return ProbedNode(
        runs[0].path,
        runs[0].kind,
        first.shape,
        _over_seeds([_over_calls([(seen.forward, _size(seen)) for seen in record.seen]) for record in runs]),
        _over_seeds_or_none([_gradient(record.seen) for record in runs]),
        _mean(seen.saturated for seen in calls),
        first.num_units,
        _mean(seen.num_dead for seen in calls),
        _mean(seen.effective_rank for seen in calls),
        tuple(
            Step(_over_seeds([seen.forward for seen in time]), _over_seeds_or_none([seen.gradient for seen in time]))
            for time in times
        ),
    )


def _size(seen: Seen) -> int:
    return prod(seen.shape)


def _gradient(seen: Sequence[Seen]) -> Moments | None:
    """The moments of the gradients of all calls of one seed."""
    there = [(call.gradient, _size(call)) for call in seen if call.gradient is not None]
    return _over_calls(there) if there else None


def _over_calls(there: Sequence[tuple[Moments, int]]) -> Moments:
    """The moments of all calls together, each with its number of elements."""
    if len(there) == 1:
        return there[0][0]
    total = sum(size for _, size in there)
    mean = sum(moments.mean * size for moments, size in there) / total
    square = sum(moments.second_moment * size for moments, size in there) / total
    return Moments.from_sums(mean, square)


def _over_seeds(seeds: Sequence[Moments]) -> Moments:
    if len(seeds) == 1:
        return seeds[0]
    logs = [moments.log_second_moment for moments in seeds]
    return Moments(
        _any_mean([moments.mean for moments in seeds]),
        math.sqrt(_any_mean([moments.std * moments.std for moments in seeds])),
        _any_mean([moments.second_moment for moments in seeds]),
        _any_mean(logs),
        statistics.stdev(logs) if all(map(math.isfinite, logs)) else math.nan,
    )


def _any_mean(values: Sequence[float]) -> float:
    """The mean; of both infinities NaN, where `fmean` refuses."""
    return statistics.fmean(values) if all(map(math.isfinite, values)) else sum(values) / len(values)


def _over_seeds_or_none(seeds: Sequence[Moments | None]) -> Moments | None:
    there = [moments for moments in seeds if moments is not None]
    return _over_seeds(there) if there else None


def _mean(values: Iterable[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return statistics.fmean(there) if there else None
