"""rows: the levels of a network → rows of a table, copies of one layer as one row with a curve over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan, log10, nan
from typing import TypeAlias

from modelforge.core.quoting import listed
from modelforge.core.words import number, plural
from modelforge.diagnosis.document import Energy, Level, Start, Stuck, spaced
from modelforge.diagnosis.levels import copied

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 12
"""Characters of a curve."""
MAX_NAMED = 5
Seen: TypeAlias = Callable[[Level], float | None]
"""The energy of a level."""


@dataclass(frozen=True, slots=True)
class LevelRow:
    """A layer, or the copies of one, in execution order."""

    path: str
    """With `*` for the numbers of copies."""
    type: str
    levels: tuple[Level, ...]
    note: str
    """That of the first copy that has one; empty where the row before has the same."""

    def ends(self, value: Callable[[Level], float | None]) -> str:
        """A number, or those of the first and the last copy; empty where nothing is known."""
        known = [value(self.levels[0]), value(self.levels[-1])][: len(self.levels)]
        words = ["?" if one is None else "not finite" if isnan(one) else number(float(f"{one:.3g}")) for one in known]
        if set(words) == {"?"}:
            return ""
        return words[0] if len(set(words)) == 1 else " → ".join(words)


def level_rows(levels: Sequence[Level]) -> tuple[LevelRow, ...]:
    """The rows of a network's levels."""
    groups: dict[tuple[str, str, str], list[Level]] = {}
    for level in levels:
        groups.setdefault(copied(level), []).append(level)
    notes = [next((level.note for level in same if level.note), "") for same in groups.values()]
    return tuple(
        LevelRow(path if len(same) > 1 else same[0].path, kind, tuple(same), "" if note == before else note)
        for ((path, _, kind), same), before, note in zip(groups.items(), ["", *notes], notes, strict=False)
    )


def greatest_share(shares: Sequence[float | None]) -> str:
    """The greatest of several shares in per cent; empty where none is known, or there is nothing."""
    known = [share for share in shares if share]
    return f"{max(known):.0%}" if known else ""


def energy(found: Energy | None) -> float | None:
    """The energy itself."""
    return None if found is None else found.energy


def measured_signal(level: Level) -> float | None:
    """The energy of a signal as measured; NaN where that is not finite."""
    return nan if "signal" in level.not_finite else energy(level.measured_signal)


def measured_gradient(level: Level) -> float | None:
    """That of a gradient."""
    return nan if "gradient" in level.not_finite else energy(level.measured_gradient)


def seen(levels: Sequence[Level]) -> tuple[Seen, Seen]:
    """Which signal and which gradient of a network's levels curves show: as predicted, or all of them as measured where
    something is measured that cannot be predicted. One curve never has some of both."""
    measured = [level for level in levels if level.measured_signal and not level.signal]
    sent_back = [level for level in levels if level.measured_gradient and not level.gradient]
    return (
        (lambda level: energy(level.measured_signal)) if measured else (lambda level: energy(level.signal)),
        (lambda level: energy(level.measured_gradient)) if sent_back else (lambda level: energy(level.gradient)),
    )


def ends(start: Start) -> tuple[float | None, float | None]:
    """The energies of the last signal and of the first gradient that are known."""
    signal, gradient = seen(start.levels)
    signals, gradients = map(signal, reversed(start.levels)), map(gradient, start.levels)
    last, first = (next((value for value in values if value is not None), None) for values in (signals, gradients))
    return last, first


def stuck(found: Stuck) -> list[str]:
    """What training cannot change, in sentences."""
    units = [
        f"`{one.path}`: units start equal and stay equal, {plural(one.num_units, 'unit')} are worth {one.num_distinct}"
        for one in found.equal_units
    ]
    lists = [
        (found.zero_gradients, "no gradient, also after one step: "),
        (found.unused, "the output does not depend on "),
    ]
    return units + [words + listed(paths, MAX_NAMED, quote="`") for paths, words in lists if paths]


def sparkline(values: Sequence[float | None], bounds: tuple[float, float] | None = None, width: int = WIDTH) -> str:
    """Energies as a row of bars on a logarithmic scale; a dot where there is none.

    Args:
        values: What is drawn; of many some at equal distances.
        bounds: Logarithms to base 10 of the ends of the scale; by default, the least and the greatest value.
        width: The most characters.

    Example:
        >>> sparkline([1, 1e-3, None, 1e-9])
        '█▆·▁'
    """
    logs = [None if value is None or value <= 0 else log10(value) for value in values]
    low, high = bounds or limits(values)
    shown = [logs[index] for index in spaced(len(logs), width)]
    return "".join("·" if one is None else BARS[_step(one, low, high)] for one in shown)


def sparklines(row: LevelRow, curves: Sequence[Seen], bounds: Sequence[tuple[float, float]]) -> list[str]:
    """The curves over the copies of a row, each within its bounds; empty where it has no copies."""
    if len(row.levels) < 2:
        return [""] * len(curves)
    return [sparkline([*map(curve, row.levels)], ends) for curve, ends in zip(curves, bounds, strict=True)]


def limits(values: Sequence[float | None]) -> tuple[float, float]:
    """Logarithms of the least and the greatest value, a decade apart or more; values within are drawn half-way up."""
    known = [log10(value) for value in values if value is not None and value > 0]
    low, high = min(known, default=0.0), max(known, default=0.0)
    spare = max(0.0, 1 - (high - low)) / 2
    return low - spare, high + spare


def _step(value: float, low: float, high: float) -> int:
    share = (value - low) / (high - low)
    return min(len(BARS) - 1, max(0, round(share * (len(BARS) - 1))))
