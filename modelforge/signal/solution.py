"""`Solution`: initial values that keep energies the same, with what is predicted before and after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log, log10
from shlex import quote
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.core.paths import glob
from modelforge.core.shown import Shown
from modelforge.core.words import number, plural
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan
from modelforge.report.aligned import PATH, Wrapped
from modelforge.report.table import Fitted, to_text
from modelforge.signal.levers import LeftAlone
from modelforge.signal.overrides import Setting, written
from modelforge.signal.predict import Prediction, predict
from modelforge.signal.retuned import DIGITS, Retuned, retuned, root_mean_square

UNCHANGED = 1e-4
"""The relative change of a std that counts as none."""
ALIKE = 5e-3
"""By how much the stds of copies of one layer differ at most for one number to serve all of them."""
BARS = "▁▂▃▄▅▆▇"


@dataclass(frozen=True, repr=False)
class Solution(Shown):
    """Initial values with which energies stay the same, as overrides of the config; prints as a table."""

    direction: str
    settings: tuple[Setting, ...]
    """What to set, key by key."""
    changes: tuple[Retuned, ...]
    """The parameters that start otherwise."""
    left: tuple[LeftAlone, ...]
    """The weights that keep their initial values, each with the reason."""
    before: Prediction
    after: Prediction

    @property
    def overrides(self) -> tuple[str, ...]:
        """The settings as Hydra overrides, for the command line and for `mf.load`."""
        return tuple(map(str, self.settings))

    def to_dict(self) -> dict[str, Any]:
        """The solution as plain data."""
        return {
            "direction": self.direction,
            "overrides": list(self.overrides),
            "settings": {setting.key: setting.value for setting in self.settings},
            "parameters": [
                {
                    "path": change.before.path,
                    "rms_before": root_mean_square(change.before),
                    "rms_after": root_mean_square(change.after),
                    **change.fields,
                }
                for change in self.changes
            ],
            "left": [{"path": one.path, "reason": one.reason} for one in self.left],
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
        }

    def table(self) -> RenderableType:
        """Energies before and after, layer by layer, the overrides, and what was left alone, for a terminal."""
        shown = [node.path for node in self.after.nodes if node.type != "input"]
        header = ["layer", "type", "E x²", "after", "E g²", "after"]
        lines = [[Text(cell) for cell in self._cells(path)] for path in shown]
        parts: list[RenderableType] = [
            Fitted(header, lines, right=range(2, 6), folds={0: PATH}, steps=((0, 12), (1, 0))),
            Text(),
            *(Wrapped(Text(line)) for line in self._curves(shown)),
            Text(),
            # Whole, however long: a line break would be pasted, too.
            *(Text(quote(override), "bold", no_wrap=True, overflow="ignore") for override in self.overrides),
        ]
        if not self.overrides:
            parts.append(Text("nothing to change"))
        reasons: dict[str, list[str]] = {}
        for one in self.left:
            reasons.setdefault(one.reason, []).append(one.path)
        notes = [f"left alone: {', '.join(paths)}: {reason}" for reason, paths in reasons.items()]
        return Group(*parts, *([Text()] if notes else []), *(Wrapped(Text(note, "dim")) for note in notes))

    def _cells(self, path: str) -> list[str]:
        before, after = self.before.node(path), self.after.node(path)
        energies = [number(node.signal and node.signal.second) for node in (before, after)]
        gradients = [number(node.gradient and node.gradient.energy) for node in (before, after)]
        return [path, after.type, *energies, *gradients]

    def _curves(self, paths: Sequence[str]) -> list[str]:
        lines: list[str] = []
        for title, of in (("signals", _energy), ("gradients", _gradient)):
            for when, prediction in (("before", self.before), ("after", self.after)):
                values = [of(prediction, path) for path in paths]
                lines.append(f"{title:9} {when:6} {_bars(values)}")
        return lines

    def __str__(self) -> str:
        return to_text(self.table())

    def _brief(self) -> str:
        return f"{plural(len(self.settings), 'override')}, {len(self.left):,} left alone"


def _energy(prediction: Prediction, path: str) -> float | None:
    signal = prediction.node(path).signal
    return None if signal is None or signal.second <= 0 else log10(signal.second)


def _gradient(prediction: Prediction, path: str) -> float | None:
    gradient = prediction.node(path).gradient
    return None if gradient is None or gradient.energy <= 0 else log10(gradient.energy)


def _bars(logs: Sequence[float | None]) -> str:
    """Logarithms as bars: the middle is an energy of 1, and the whole height at least four orders of magnitude."""
    known = [value for value in logs if value is not None]
    reach = max([2.0, *map(abs, known)])
    steps = len(BARS) - 1
    return "".join(" " if value is None else BARS[round((value / reach + 1) / 2 * steps)] for value in logs)


def solution(
    plan: Plan, parameters: Mapping[str, ParameterPlan], left: tuple[LeftAlone, ...], direction: str, batch: int
) -> Solution:
    """What changed parameters mean for a config, and what is predicted with them."""
    sizes = _alike({one.path: root_mean_square(parameters[one.path]) or 0.0 for one in plan.parameters})
    changes = [change for one in plan.parameters if (change := _change(one, sizes[one.path])) is not None]
    found = written(plan, changes, [one.path for one in left])
    kept = {change.before.path: change for change in changes} | dict(found.shared)
    unknown = {one.path: parameters[one.path] for one in plan.parameters if root_mean_square(one) is None}
    made = {**unknown, **{path: one.after for path, one in kept.items()}}
    after = replace(plan, parameters=tuple(made.get(one.path, one) for one in plan.parameters))
    return Solution(
        direction,
        found.settings,
        tuple(kept.values()),
        left,
        predict(plan, batch_size=batch),
        predict(after, batch_size=batch),
    )


def _alike(sizes: Mapping[str, float]) -> dict[str, float]:
    """The sizes, those of copies of one parameter made equal where they hardly differ."""
    copies: dict[str, list[str]] = defaultdict(list)
    for path in sizes:
        copies[glob(path)].append(path)
    made: dict[str, float] = {}
    for paths in copies.values():
        for members in _runs([path for path in paths if sizes[path] > 0], sizes):
            mean = exp(sum(log(sizes[path]) for path in members) / len(members))
            made |= dict.fromkeys(members, mean)
    return {path: made.get(path, size) for path, size in sizes.items()}


def _runs(paths: Sequence[str], sizes: Mapping[str, float]) -> list[list[str]]:
    """The paths in groups in which sizes hardly differ."""
    found: list[list[str]] = []
    for path in sorted(paths, key=lambda path: sizes[path]):
        if found and sizes[path] / sizes[found[-1][0]] < 1 + ALIKE:
            found[-1].append(path)
        else:
            found.append([path])
    return found


def _change(before: ParameterPlan, size: float) -> Retuned | None:
    old = root_mean_square(before)
    if not size or (old and abs(size / old - 1) < UNCHANGED):
        return None
    return retuned(before, size, DIGITS)
