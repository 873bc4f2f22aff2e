"""`Ledger`: the proof. For each parameter the rule that filled it, what was promised, and what was measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from functools import cached_property
from math import isfinite, sqrt
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modelforge.checks import Verdict, check
from modelforge.errors import ForgeError, Place, Problem, sentence
from modelforge.node import FrozenDict
from modelforge.rng import check_seed
from modelforge.rules import ParameterPlan
from modelforge.tally import Tally, digest_of
from modelforge.tally import gather as gather


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
    """About the measured mean, or about `centre`."""
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
    reason: str = ""
    """What a sound parameter does not have, in words, where the verdict is `fail`."""
    centre: float | None = None
    """What `measured_std` is about where that is not the measured mean: the target of a scheme that fixes it."""
    digest: str = ""
    """A checksum of the values as they are stored, 64 bits, by which `mf.verify` sees an edit; no seal against forgery.
    """

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
    warnings: tuple[Problem, ...] = ()
    """What may be meant otherwise: parameters that may be several matrices."""
    versions: Mapping[str, str] = FrozenDict({"torch": str(torch.__version__), "numpy": np.__version__})
    """What made the values."""

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
        return {
            "seed": self.seed,
            "versions": dict(self.versions),
            "ok": self.ok,
            "parameters": [e.to_dict() for e in self.entries],
            "buffers": dict(self.buffers),
            "warnings": [warning.to_dict() for warning in self.warnings],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ledger:
        """The ledger that `to_dict` wrote, perhaps through JSON.

        Raises:
            ValueError: the data is none.
        """
        try:
            entries = tuple(map(_entry, data["parameters"]))
            texts = [FrozenDict({str(k): str(v) for k, v in data[name].items()}) for name in ("buffers", "versions")]
            return cls(entries, check_seed(data["seed"]), texts[0], versions=texts[1])
        except (KeyError, TypeError, AttributeError) as error:
            reason = f"it lacks `{error.args[0]}`" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"this is no ledger: {reason}") from error

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Ledger:
        """The ledger that a run left as `ledger.json`.

        Raises:
            ForgeError: there is no such file, or it holds none.
        """
        try:
            return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or sentence(error)
            hint = "`ledger.json` lies in the folder of each run that built its model"
            raise ForgeError([Problem("MF066", str(path), f"`{path}` gives no ledger: {reason}", hint)]) from error

    def table(self) -> str:
        """The ledger as a text table."""
        from modelforge.report.table import ledger_table, to_text

        return to_text(ledger_table(self))

    def __str__(self) -> str:
        return self.table()


def _entry(data: Mapping[str, Any]) -> LedgerEntry:
    known = LedgerEntry.__dataclass_fields__
    for name, field in known.items():
        if name not in data and field.default is MISSING:
            raise KeyError(name)
    values: dict[str, Any] = {name: _frozen(value) for name, value in data.items() if name in known}
    place, calibration = data.get("place"), data.get("calibration")
    values["place"] = place and _place(place)
    values["calibration"] = calibration and Calibrated(**{name: _frozen(value) for name, value in calibration.items()})
    return LedgerEntry(**values)


def _place(data: Mapping[str, Any]) -> Place:
    via = data.get("via")
    return Place(**{name: value for name, value in data.items() if name != "via"}, via=via and _place(via))


def _frozen(value: Any) -> Any:
    """Lists as the tuples that they were."""
    if isinstance(value, Mapping):
        return FrozenDict({str(name): _frozen(item) for name, item in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def record(
    item: ParameterPlan, dtype: torch.dtype, tallies: Sequence[Tally], aliases: tuple[str, ...] = ()
) -> LedgerEntry:
    """The entry of one parameter, from the sums over what its fills made."""
    checks = [check(group, dtype) for group in _by_fill(tallies)]
    digest = sum(tally.checksum for tally in tallies)
    tallies = _decided(item, tallies)
    count = sum(tally.count for tally in tallies)
    mean = sum(tally.first + tally.count * tally.shift for tally in tallies) / count if count else None
    centre = _centre(tallies) if mean is not None else None
    std = _std(tallies, mean if centre is None else centre) if mean is not None else None
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
        reason=next((check.reason for check in checks if check.reason), "") if verdict == "fail" else "",
        centre=centre,
        digest=digest_of(digest % 2**64),
    )


def _decided(item: ParameterPlan, tallies: Sequence[Tally]) -> Sequence[Tally]:
    """Those of values that a scheme decides, if there are any."""
    fixed = [id(fill) for block, fill in item.fills if block.fixed is not None]
    return [tally for tally in tallies if id(tally.fill) not in fixed] or tallies


def _by_fill(tallies: Sequence[Tally]) -> list[list[Tally]]:
    groups: dict[int, list[Tally]] = {}
    for tally in tallies:
        groups.setdefault(id(tally.fill), []).append(tally)
    return list(groups.values())


def _centre(tallies: Sequence[Tally]) -> float | None:
    """The mean about which a scheme fixes the standard deviation, if all do so about one."""
    exact = all(tally.fill is not None and tally.fill.exact_std for tally in tallies)
    centres = {tally.shift for tally in tallies}
    return centres.pop() if exact and len(centres) == 1 else None


def _std(tallies: Sequence[Tally], mean: float) -> float:
    """Standard deviation about `mean`, from sums about the fills' own shifts."""
    count = sum(tally.count for tally in tallies)
    second = 0.0
    for tally in tallies:
        delta = tally.shift - mean
        second += tally.second + 2 * delta * tally.first + tally.count * delta**2
    return sqrt(max(second / count, 0.0))
