"""`Ledger`: for each parameter the rule that filled it, its targets, and the measured values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite, sqrt
from os import PathLike
from typing import Any

import numpy as np
import torch
from pydantic import ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from modelforge.building.checksum import digest_of
from modelforge.building.entries import LedgerEntry
from modelforge.building.table import ledger_table
from modelforge.building.tally import Tally
from modelforge.building.tolerances import NOT_FINITE, Check, Verdict, check
from modelforge.core.complaints import expected
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.limits import MAX_LEDGER_BYTES
from modelforge.core.quoting import quoted, sentence
from modelforge.core.regular_files import read_bytes
from modelforge.core.shown import Shown
from modelforge.core.suggestions import lookup
from modelforge.core.words import plural
from modelforge.planning.assign import ParameterPlan
from modelforge.report.table import to_text


@dataclass(frozen=True, repr=False)
class Ledger(Shown):
    """All entries, in the order of the parameters."""

    entries: tuple[LedgerEntry, ...]
    seed: int
    buffers: Mapping[str, str] = FrozenDict()
    """Buffers whose values came from files, and from where."""
    warnings: tuple[Problem, ...] = ()
    """Warnings of planning: parameters that may be several matrices."""
    versions: Mapping[str, str] = FrozenDict({"torch": str(torch.__version__), "numpy": np.__version__})
    """The libraries that made the values."""

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
        """The entry of a parameter, by any of its names.

        Raises:
            KeyError: there is no parameter of that name; it names the nearest.
        """
        return lookup(self._by_name, name, "the ledger has no parameter")

    def __contains__(self, item: object) -> bool:
        """Whether it has a parameter of that name, or that entry."""
        return item in self._by_name if isinstance(item, str) else item in self.entries

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
            "parameters": [entry.to_dict() for entry in self.entries],
            "buffers": dict(self.buffers),
            "warnings": [warning.to_dict() for warning in self.warnings],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ledger:
        """The ledger that `to_dict` wrote, perhaps through JSON.

        Raises:
            ValueError: the data is not a ledger; the message says where.
        """
        try:
            text = json.dumps(data).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"this is not a ledger: JSON cannot hold it: {sentence(error)}") from error
        try:
            return _read(text, "this is not a ledger")
        except ForgeError as error:
            more = sum(problem.num for problem in error.problems) - 1
            raise ValueError(error.problems[0].message + (f" (and {more:,} more)" if more else "")) from error

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Ledger:
        """The ledger that a run left as `ledger.json`.

        Raises:
            ForgeError: there is no such file, or it holds none; each place that is wrong is a problem.
        """
        hint = "`ledger.json` lies in the folder of each run that built its model"
        try:
            return _read(read_bytes(path, MAX_LEDGER_BYTES), f"`{path}` cannot be read as a ledger", str(path))
        except (OSError, ValueError) as error:
            message = f"`{path}` cannot be read as a ledger: {sentence(error)}"
            raise ForgeError([Problem("MF066", str(path), message, hint)]) from error

    def table(self) -> str:
        """The ledger as a text table."""
        return to_text(ledger_table(self.entries, self.warnings))

    def __str__(self) -> str:
        return self.table()

    def _brief(self) -> str:
        return f"{plural(len(self.entries), 'parameter')}, {len(self.failures):,} failed"


class _Written(Node):
    """A ledger as `to_dict` writes it."""

    # A parameter that failed may hold values that are not finite.
    model_config = ConfigDict(allow_inf_nan=True)

    seed: int
    versions: FrozenDict[str, str]
    ok: bool
    parameters: tuple[LedgerEntry, ...]
    buffers: FrozenDict[str, str]
    warnings: tuple[Problem, ...]


def _read(text: bytes, refused: str, source: str = "") -> Ledger:
    """The ledger in a JSON text.

    Args:
        text: The text.
        refused: What a problem says first.
        source: Where the text is from, for problems with all of it.

    Raises:
        ForgeError: it is none; each place that is wrong is a problem.
    """
    hint = "do not edit a ledger; if an older version of modelforge wrote it, repeat its run"

    def refuse(faults: Sequence[tuple[str, str]]) -> ForgeError:
        return ForgeError(
            Problem("MF066", where or source, f"{refused}: {_sentence(where, what)}", hint) for where, what in faults
        )

    try:
        written = _Written.model_validate_json(text)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise refuse([(_where(detail["loc"]), _what(detail)) for detail in details]) from error
    if twice := _twice(text):
        raise refuse([(twice, "is written twice in one mapping")])
    rows = tuple(replace(row, numbers=_frozen(row.numbers)) for row in written.parameters)
    ledger = Ledger(rows, written.seed, written.buffers, written.warnings, written.versions)
    if faults := [*_contradictions(ledger, ok=written.ok)]:
        raise refuse(faults)
    return ledger


def _contradictions(ledger: Ledger, *, ok: bool) -> Iterator[tuple[str, str]]:
    """Values that are valid one by one, but not together."""
    names = Counter(name for row in ledger for name in (row.path, *row.aliases))
    for number, row in enumerate(ledger):
        for name in dict.fromkeys((row.path, *row.aliases)):
            if names[name] > 1:
                yield f"parameters[{number}]", f"names `{name}`, and {names[name]} places do"
    if ok != ledger.ok:
        yield "ok", f"is {str(ok).lower()}, but {len(ledger.failures)} of its parameters failed"


def _twice(text: bytes) -> str:
    """A name that a mapping has twice: JSON readers silently take the last one."""
    found: list[str] = []

    def mapping(pairs: list[tuple[str, Any]]) -> None:
        found.extend(name for name, number in Counter(name for name, _ in pairs).items() if number > 1)

    json.loads(text, object_pairs_hook=mapping, parse_int=float)  # a float has no limit of digits
    return found[0] if found else ""


def _where(location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _what(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            return "is not part of a ledger"
        case "json_invalid":
            return f"it is not valid JSON: {detail['msg'].removeprefix('Invalid JSON: ')}"
        case _:
            return f"must be {expected(detail)}, but is {quoted(detail['input'])}"


def _sentence(where: str, what: str) -> str:
    return f"`{where}` {what}" if where else what if what.startswith("it ") else f"it {what}"


def _frozen(value: Any) -> Any:
    """Lists as the tuples that they were."""
    if isinstance(value, Mapping):
        return FrozenDict({str(name): _frozen(item) for name, item in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def record(
    item: ParameterPlan, dtype: torch.dtype, tallies: Sequence[Tally], aliases: tuple[str, ...] = ()
) -> LedgerEntry:
    """The entry of one parameter, from the sums over the values of its fills."""
    groups: dict[int, list[Tally]] = {}
    for tally in tallies:
        groups.setdefault(id(tally.fill), []).append(tally)
    checks = [check(group, dtype) for group in groups.values()]
    digest = sum(tally.checksum for tally in tallies)
    tallies = _decided(item, tallies)
    count = sum(tally.sums.count for tally in tallies)
    mean = sum(tally.sums.first + tally.sums.count * tally.shift for tally in tallies) / count if count else None
    centre = _centre(tallies) if mean is not None else None
    std = _std(tallies, mean if centre is None else centre) if mean is not None else None
    verdict, reason = _verdict(checks, is_finite=isfinite(mean or 0.0) and isfinite(std or 0.0))
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
        matrices=tuple(matrix.name for matrix, _ in item.fills if matrix.name),
        target_mean=item.mean,
        target_std=item.std,
        measured_mean=mean,
        measured_std=std,
        mean_tolerance=only.mean_tolerance if only else None,
        std_tolerance=only.std_tolerance if only else None,
        verdict=verdict,
        transposed=item.transposed,
        aliases=aliases,
        reason=reason,
        centre=centre,
        digest=digest_of(digest % 2**64),
    )


def _verdict(checks: Sequence[Check], *, is_finite: bool) -> tuple[Verdict, str]:
    """The worst verdict, and why it is a failure."""
    verdicts = {check.verdict for check in checks}
    if "fail" in verdicts or not is_finite:
        return "fail", next((check.reason for check in checks if check.reason), NOT_FINITE)
    return "unpromised" if "unpromised" in verdicts else "pass", ""


def _decided(item: ParameterPlan, tallies: Sequence[Tally]) -> Sequence[Tally]:
    """The tallies of values that a scheme decides, if there are any."""
    fixed = [id(fill) for matrix, fill in item.fills if matrix.fixed is not None]
    return [tally for tally in tallies if id(tally.fill) not in fixed] or tallies


def _centre(tallies: Sequence[Tally]) -> float | None:
    """The mean about which the scheme fixes the std, if all fills do so about the same one."""
    exact = all(tally.fill is not None and tally.fill.promise.exact_std for tally in tallies)
    centres = {tally.shift for tally in tallies}
    return centres.pop() if exact and len(centres) == 1 else None


def _std(tallies: Sequence[Tally], mean: float) -> float:
    """The std about `mean`, from sums about the fills' own shifts."""
    count = sum(tally.sums.count for tally in tallies)
    second = 0.0
    for tally in tallies:
        delta = tally.shift - mean
        second += tally.sums.second + 2 * delta * tally.sums.first + tally.sums.count * delta**2
    return sqrt(max(second / count, 0.0))
