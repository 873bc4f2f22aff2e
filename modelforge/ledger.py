"""`Ledger`: the proof. For each parameter the rule that filled it, what was promised, and what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, isfinite, sqrt
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from modelforge.errors import Place
from modelforge.inits.base import Fill
from modelforge.inits.words import loaded
from modelforge.node import FrozenDict
from modelforge.rng import CHUNK
from modelforge.rules import ParameterPlan
from modelforge.shards import Shard, add_over_processes, in_memory_order

_PIECE = 1 << 16
"""Elements that are summed at once: they stay in a core's cache, and few enough for sums in single precision."""

LOG_ODDS = 20.0
"""A sound parameter fails a check with a probability of about exp(-20) = 2e-9."""

Verdict = Literal["pass", "fail", "unpromised"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over elements that one fill made: their number, and the sums of x - shift and (x - shift)²."""

    count: int = 0
    shift: float = 0.0
    first: float = 0.0
    second: float = 0.0
    fill: Fill | None = None

    def __add__(self, other: Tally) -> Tally:
        """Sums over both, which must be of one fill."""
        assert (self.shift, self.fill) == (other.shift, other.fill), "sums about one shift"
        count, first, second = self.count + other.count, self.first + other.first, self.second + other.second
        return replace(self, count=count, first=first, second=second)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a calibration did to one parameter; where it works channel by channel, of the channel farthest off."""

    method: str
    left: str = ""
    """Why the parameter was left as it was; empty where it was calibrated."""
    factors: tuple[float, float] = (1.0, 1.0)
    """What the weight was multiplied by: least and greatest over its channels, equal where it has one factor."""
    passes: int = 0
    """How often it was corrected."""
    mean_before: float | None = None
    """Mean of what its layer makes of the batch; None where it was left."""
    mean_after: float | None = None
    variance_before: float | None = None
    variance_after: float | None = None
    """Measured when all layers were done."""
    tolerance: float | None = None

    @property
    def factor(self) -> float:
        """What the whole weight was multiplied by; the geometric mean of the extremes where channels differ."""
        low, high = self.factors
        return low if low == high else sqrt(low * high)

    def to_dict(self) -> dict[str, Any]:
        """The record as plain data."""
        return {name: getattr(self, name) for name in Calibrated.__dataclass_fields__} | {"factors": [*self.factors]}


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One parameter: what filled it and whether it came out as promised."""

    path: str
    shape: tuple[int, ...]
    """As it is stored."""
    dtype: str
    role: str | None
    scheme: str
    rule: str
    """Override key of the block that won."""
    place: Place | None
    numbers: FrozenDict[str, Any]
    """What was resolved: gain, fans, bounds."""
    blocks: tuple[str, ...]
    target_mean: float | None
    target_std: float | None
    measured_mean: float | None
    """Over all elements that a scheme decides; None for an empty parameter."""
    measured_std: float | None
    mean_tolerance: float | None
    """How far the mean of a sample of this size may lie from the target."""
    std_tolerance: float | None
    verdict: Verdict
    """`unpromised` where the scheme states no target (the module's own values)."""
    transposed: tuple[int, int] | None = None
    """The dimensions that are exchanged in how it is stored; None where outputs come first."""
    aliases: tuple[str, ...] = ()
    """Other names of the same parameter, where weights are tied."""
    calibration: Calibrated | None = None
    """What `mf.calibrate` did to it afterwards; the verdict is on that, too."""

    def to_dict(self) -> dict[str, Any]:
        """The entry as plain data."""
        data = {name: getattr(self, name) for name in LedgerEntry.__dataclass_fields__}
        return data | {
            "shape": list(self.shape),
            "transposed": self.transposed and list(self.transposed),
            "blocks": list(self.blocks),
            "numbers": dict(self.numbers),
            "aliases": list(self.aliases),
            "place": self.place.to_dict() if self.place else None,
            "calibration": self.calibration.to_dict() if self.calibration else None,
        }


@dataclass(frozen=True)
class Ledger:
    """All entries, in the order of the parameters."""

    entries: tuple[LedgerEntry, ...]
    seed: int
    buffers: Mapping[str, str] = FrozenDict()
    """Buffers whose values came from files, and from where."""

    @property
    def ok(self) -> bool:
        """Whether every parameter came out as promised."""
        return not self.failures

    @cached_property
    def failures(self) -> tuple[LedgerEntry, ...]:
        return tuple(entry for entry in self.entries if entry.verdict == "fail")

    @cached_property
    def _by_name(self) -> dict[str, LedgerEntry]:
        return {name: entry for entry in self.entries for name in (entry.path, *entry.aliases)}

    def __getitem__(self, name: str) -> LedgerEntry:
        """The entry of a parameter, by any of its names."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        return self

    def to_dict(self) -> dict[str, Any]:
        """The ledger as plain data."""
        versions = {"torch": torch.__version__, "numpy": np.__version__}
        return {
            "seed": self.seed,
            "versions": versions,
            "ok": self.ok,
            "parameters": [e.to_dict() for e in self.entries],
            "buffers": dict(self.buffers),
        }

    def table(self) -> str:
        """The ledger as a text table."""
        from modelforge.report.table import ledger_table, to_text

        return to_text(ledger_table(self))

    def __str__(self) -> str:
        return self.table()


def measure(parts: Iterable[Tensor], fill: Fill, left_out: Sequence[tuple[int, float]]) -> Tally:
    """Sums over what was written, rounding included; `left_out` are (count, value) of fixed elements in it."""
    shift, std = fill.mean or 0.0, fill.std
    # Single precision is enough for a piece, unless squares or differences would lose it, and keeps up with the draws.
    exact = std is None or not 1e-15 < std < 1e15 or abs(shift) > std
    count, first, second = 0, 0.0, 0.0
    for piece in (piece for part in parts for piece in _pieces(part, std)):
        count += len(piece)
        if std == 0 and (off := _offset(piece, shift)) is not None:
            first += off * len(piece)
            second += off**2 * len(piece)
            continue
        compiled = loaded() if piece.dtype == torch.float32 and piece.device.type == "cpu" else None
        if compiled is not None:
            sums = compiled.sums(piece.numpy(), shift)
            first, second = first + sums[0], second + sums[1]
            continue
        stored = piece.to("cpu", torch.float64) - shift if exact else piece.to("cpu", torch.float32)
        total, squares = float(stored.sum()), float(torch.dot(stored, stored))
        if not exact:
            squares += shift * (shift * len(piece) - 2 * total)
            total -= shift * len(piece)
        first, second = first + total, second + squares
    for number, value in left_out:
        count -= number
        first -= number * (value - shift)
        second -= number * (value - shift) ** 2
    return Tally(count, shift, first, second, fill)


def _pieces(values: Tensor, std: float | None) -> tuple[Tensor, ...]:
    """All values piece by piece; sums do not mind the order, so that it can be the one in memory."""
    flat = values.permute(in_memory_order(values)).reshape(-1)
    if flat.is_complex():  # values that are kept; real and imaginary parts are numbers alike
        flat = torch.view_as_real(flat.resolve_conj()).reshape(-1)
    return flat.split(_PIECE if flat.device.type == "cpu" and std != 0 else CHUNK)


def _offset(piece: Tensor, shift: float) -> float | None:
    """By how much all values of a piece lie off, where they are equal."""
    least, most = torch.aminmax(piece) if len(piece) else (piece.new_tensor(shift),) * 2
    return float(least) - shift if torch.equal(least, most) else None


def measure_whole(item: ParameterPlan, values: Tensor) -> Tally:
    """Sums over the values of a parameter that was not drawn."""
    free = [fill for block, fill in item.fills if block.fixed is None] or [fill for _, fill in item.fills]
    return measure([values], free[0], [])


def gather(tallies: Mapping[str, Sequence[Tally]], shards: Mapping[str, Shard]) -> dict[str, Sequence[Tally]]:
    """The sums over all processes for those parameters that several processes hold."""
    spread = [(path, tally) for path, group in tallies.items() if shards[path].distributed for tally in group]
    if not spread:
        return dict(tallies)
    sums = [
        (tally.count, tally.first, tally.second) if shards[path].counts else (0.0, 0.0, 0.0) for path, tally in spread
    ]
    added = iter(add_over_processes(sums, shards[spread[0][0]].local.device))
    total = dict(tallies)
    for path in dict.fromkeys(path for path, _ in spread):
        rows = ((tally, next(added)) for tally in tallies[path])
        total[path] = [
            replace(tally, count=round(count), first=first, second=second) for tally, (count, first, second) in rows
        ]
    return total


def record(
    item: ParameterPlan, dtype: torch.dtype, tallies: Sequence[Tally], aliases: tuple[str, ...] = ()
) -> LedgerEntry:
    """The entry of one parameter, from the sums over what its fills made."""
    checks = [_check(group, dtype) for group in _by_fill(tallies)]
    tallies = _decided(item, tallies)
    count = sum(tally.count for tally in tallies)
    mean = sum(tally.first + tally.count * tally.shift for tally in tallies) / count if count else None
    std = _std(tallies, mean) if mean is not None else None
    verdicts = {check.verdict for check in checks}
    finite = mean is None or (isfinite(mean) and isfinite(std or 0.0))
    verdict: Verdict = (
        "fail" if "fail" in verdicts or not finite else "unpromised" if "unpromised" in verdicts else "pass"
    )
    only = checks[0] if len(checks) == 1 else None
    return LedgerEntry(
        path=item.path,
        shape=item.shape,
        dtype=str(dtype).removeprefix("torch."),
        role=item.role,
        scheme=item.scheme,
        rule=item.rule.key,
        place=item.rule.place,
        numbers=FrozenDict(item.numbers),
        blocks=tuple(block.name for block, _ in item.fills if block.name),
        target_mean=item.mean,
        target_std=item.std,
        measured_mean=mean,
        measured_std=std,
        mean_tolerance=only.mean_tolerance if only else None,
        std_tolerance=only.std_tolerance if only else None,
        verdict=verdict,
        transposed=item.transposed,
        aliases=aliases,
    )


@dataclass(frozen=True, slots=True)
class _Check:
    verdict: Verdict
    mean_tolerance: float | None = None
    std_tolerance: float | None = None


def _decided(item: ParameterPlan, tallies: Sequence[Tally]) -> Sequence[Tally]:
    """Those of values that a scheme decides, if there are any."""
    fixed = [id(fill) for block, fill in item.fills if block.fixed is not None]
    return [tally for tally in tallies if id(tally.fill) not in fixed] or tallies


def _by_fill(tallies: Sequence[Tally]) -> list[list[Tally]]:
    groups: dict[int, list[Tally]] = {}
    for tally in tallies:
        groups.setdefault(id(tally.fill), []).append(tally)
    return list(groups.values())


def _check(tallies: Sequence[Tally], dtype: torch.dtype) -> _Check:
    """Compares a sample with its fill's targets.

    For n values with standard deviation σ and kurtosis κ, the mean has the error σ/√n and the variance about the
    target mean σ²·√((κ - 1)/n). The margins are those of Gaussian and χ² tails (Laurent and Massart 2000, lemma 1),
    plus the rounding of the dtype.
    """
    fill, count = tallies[0].fill, sum(tally.count for tally in tallies)
    if fill is None or fill.mean is None or fill.std is None:
        return _Check("unpromised")
    if count == 0:
        return _Check("pass")
    drawn = count / fill.copies
    # Values are drawn in float32, whatever they are stored in.
    eps = 2 * max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps) if dtype.is_floating_point else 0.0
    off = abs(sum(tally.first for tally in tallies) / count)
    std = sqrt(max(sum(tally.second for tally in tallies) / count, 0.0))
    mean_tolerance = fill.std * sqrt(2 * LOG_ODDS / drawn) + eps * (abs(fill.mean) + fill.std)
    if fill.exact_std:
        spread = 1e-4
    else:
        spread = sqrt((fill.kurtosis - 1) / 2) * 2 * sqrt(LOG_ODDS / drawn) + fill.kurtosis * LOG_ODDS / drawn
    # From a margin on the variance to one on the standard deviation.
    std_tolerance = fill.std * (sqrt(1 + spread) - 1) + eps * (fill.std + abs(fill.mean))
    low = fill.std * sqrt(max(1 - spread, _least(drawn, fill.kurtosis))) - eps * (fill.std + abs(fill.mean))
    sound = off <= mean_tolerance and low <= std <= fill.std + std_tolerance
    return _Check("pass" if sound else "fail", mean_tolerance, std_tolerance)


def _least(count: float, kurtosis: float) -> float:
    """What a sample's variance will hardly fall below, in units of the law's: for few values `1 - spread` is no bound.

    Chernoff's bound for χ² with n degrees of freedom: P(χ² <= t·n) <= (t·exp(1 - t))^(n/2), solved for t from below.
    """
    deviation = 2 * LOG_ODDS / (count * 2 / max(kurtosis - 1, 2.0))
    ratio = 0.0
    for _ in range(50):
        ratio = exp(ratio - 1 - deviation)
    return ratio


def _std(tallies: Sequence[Tally], mean: float) -> float:
    """Standard deviation about `mean`, from sums about the fills' own shifts."""
    count = sum(tally.count for tally in tallies)
    second = 0.0
    for tally in tallies:
        delta = tally.shift - mean
        second += tally.second + 2 * delta * tally.first + tally.count * delta**2
    return sqrt(max(second / count, 0.0))
