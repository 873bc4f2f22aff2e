"""Two runs: the values of their configs that differ, and the numbers that differ. Reads files only."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from modelforge.core.limits import MAX_LEDGER_BYTES, MAX_STATUS_BYTES
from modelforge.core.quoting import quoted, shortened
from modelforge.core.regular_files import read_text
from modelforge.runs.liveness import STATUS

NUM_HEX = 12
"""Digits of a digest that are shown."""
CURVES = ("train/", "val/", "test/")
"""The columns of metrics.csv that a run computes; others may hold a time, or the memory in use."""

_ORDERED = re.compile(r"model\.input|model\.(.*\.)?(layers|branches)|data\.augment(\..*)?")
"""The keys of mappings in which the order counts: layers, inputs, and steps that are done one after the other."""


@dataclass(frozen=True)
class Change:
    """A value that two runs do not have in common, each as a text; empty where there is none."""

    name: str
    before: str
    now: str

    def __str__(self) -> str:
        return f"`{self.name}`: {self.before or 'nothing'} → {self.now or 'nothing'}"


@dataclass(frozen=True)
class Comparison:
    """What is compared of two runs, and what differs."""

    metrics: Mapping[str, tuple[float, float]]
    """Those of both reports."""
    num_lines: int
    """Of metrics.csv in both."""
    num_parameters: int
    """Whose initial values are compared."""
    differences: tuple[Change, ...]


def changes(path: str, before: Any, now: Any) -> Iterator[Change]:
    """The keys below `path` whose values differ in two configs, or whose entries have another order, where that counts.

    Example:
        >>> layers = {"norm": "LayerNorm", "act": "ReLU"}, {"act": "ReLU", "norm": "LayerNorm"}
        >>> [str(change) for change in changes("model.layers", *layers)]
        ['`model.layers`: norm, act → act, norm']
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        if _are_exchanged(path, before, now):
            yield Change(path, *(shortened(", ".join(map(str, names))) for names in (before, now)))
        for key in dict.fromkeys([*before, *now]):
            yield from changes(f"{path}.{key}" if path else key, before.get(key), now.get(key))
    elif before != now:
        yield Change(path, *("" if value is None else quoted(value) for value in (before, now)))


def _are_exchanged(path: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two mappings hold the same names in another order, and that counts: the fields of one layer have none."""
    one_thing = "type" in now or "shape" in now
    return before.keys() == now.keys() and [*before] != [*now] and not one_thing and bool(_ORDERED.fullmatch(path))


def compare(before: Path, now: Path) -> Comparison:
    """Compares the reports, the curves and the initial values of two finished runs, to the last digit written.

    What only one of them has is a difference.

    Args:
        before: The folder of one run.
        now: That of the other.
    """
    reports = reported(before), reported(now)
    curves = _curve(before), _curve(now)
    starts = _initial_values(before), _initial_values(now)
    known = {name: (reports[0][name], reports[1][name]) for name in reports[0] if name in reports[1]}
    differences = [
        *_unequal("the number of initial values", *starts, named="initial value of {}"),
        *islice(_curve_changes(*curves), 1),
        *_count("the number of lines of metrics.csv", *curves),
        *_unequal("the number of metrics reported", *reports),
    ]
    return Comparison(known, min(map(len, curves)), len(starts[0].keys() & starts[1].keys()), tuple(differences))


def surroundings(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    """The versions, the device, the data and the own code that differ, as far as both environments name them."""
    for name, most in (("python", None), ("device", None), ("data", NUM_HEX), ("code", NUM_HEX)):
        if before.get(name) and now.get(name):
            yield from changes(name, str(before[name])[:most], str(now[name])[:most])
    packages = [one.get("packages") for one in (before, now)]
    if all(isinstance(one, Mapping) and one for one in packages):
        yield from changes("", *packages)


def _initial_values(folder: Path) -> dict[str, str]:
    """The digest of each parameter's initial values; empty where there is no ledger."""
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        rows = json.loads(read_text(folder / "ledger.json", MAX_LEDGER_BYTES))["parameters"]
        return {str(row["path"]): str(row["digest"]) for row in rows}
    return {}


def reported(folder: Path) -> dict[str, float]:
    """The metrics that a run reported at its end; empty where it did not get there."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        metrics = json.loads(read_text(folder / STATUS, MAX_STATUS_BYTES))["metrics"]
        return {str(name): float(value) for name, value in metrics.items()}
    return {}


def _curve(folder: Path) -> list[dict[str, str]]:
    with suppress(OSError, ValueError, csv.Error):
        lines = read_text(folder / "metrics.csv", MAX_LEDGER_BYTES).splitlines()
        return list(csv.DictReader(lines, restkey="", restval=""))
    return []


def _curve_changes(before: Iterable[Mapping[str, str]], now: Iterable[Mapping[str, str]]) -> Iterator[Change]:
    """The values of two curves that differ, as far as both go, from the first line on."""
    for line, (first, second) in enumerate(zip(before, now, strict=False), start=2):
        for name in dict.fromkeys([*first, *second]):
            if name.startswith(CURVES) and first.get(name, "") != second.get(name, ""):
                yield Change(f"{name} in line {line} of metrics.csv", first.get(name, ""), second.get(name, ""))


def _count(name: str, before: Sized, now: Sized) -> Iterator[Change]:
    if len(before) != len(now):
        yield Change(name, str(len(before)), str(len(now)))


def _unequal(count: str, before: Mapping[str, Any], now: Mapping[str, Any], named: str = "{}") -> Iterator[Change]:
    """The values that differ; where one side has none at all, their number."""
    if not before or not now:
        yield from _count(count, before, now)
        return
    for name in dict.fromkeys([*before, *now]):
        first, second = str(before.get(name, "")), str(now.get(name, ""))
        if first != second:
            yield Change(named.format(name), first, second)
