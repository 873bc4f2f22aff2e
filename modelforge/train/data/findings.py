"""`Findings`: what is wrong with a table, and the settings with which it could be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import FrozenDict
from modelforge.train.data.arrow import Values, instants, is_text, numbers, pc, present
from modelforge.train.data.columns import ISO, Columns, Fill
from modelforge.train.data.features import Feature
from modelforge.train.data.refusals import fault, setting, settings, together

MAX_SHOWN = 20
"""Problems that are named."""
MAX_PROPOSED = 1_000
"""Problems up to which ways out are looked for: each takes a look at all values of a column."""
MAX_NAMED = 8
"""Columns to be filled in that are named one by one."""
MAX_CATEGORIES = 20
"""Different texts up to which a column of texts is proposed as one of categories; a single one tells rows not apart."""
WAYS = {
    "ignore": "leave it out",
    "categorical": "as categories",
    "dates": "as dates",
    "decimal": "with a decimal comma",
    "impute": "fill it in",
}
"""What each field does for a column, as a hint says it."""
DATES = ("%d.%m.%Y", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y")
TIMES = ("", " %H:%M", " %H:%M:%S")
FORMATS = (ISO, *(date + time for date in DATES for time in TIMES))
"""Formats of dates that are proposed, where no other one fits."""


@dataclass
class Findings:
    """Problems, some with a field of the section that avoids them: a name for a list, or an entry of a mapping."""

    problems: list[Problem] = field(default_factory=list[Problem])
    fixes: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    ways: dict[int, str] = field(default_factory=dict[int, str])
    """The field that avoids the problem at a place."""

    def add(self, problem: Problem, key: str = "", name: str = "", value: Any = None) -> None:
        """Adds a problem, and for which column of which field it would be none."""
        if key:
            self.ways[len(self.problems)] = key
            self.fixes.setdefault(key, {})[name] = value
        self.problems.append(problem)

    def with_ways_out(self, source: Columns, names: tuple[str, ...], read: Callable[[Columns], Any]) -> list[Problem]:
        """The problems with the settings that avoid them, and with those that would be wrong after that.

        Args:
            source: What was declared.
            names: The features.
            read: Reads the data as a section declares it; what it raises is named as well.
        """
        rest = len(self.problems) - MAX_SHOWN
        more = [fault("features", f"{rest:,} more problems like these, in other columns")] if rest > 0 else []
        if len(self.problems) > MAX_PROPOSED:
            return [*self.problems[:MAX_SHOWN], *more]
        update = self._update(source, names)
        lines = {key: setting(key, value) for key, value in update.items()}
        shown = [
            replace(problem, hint=f"{WAYS[way]}: `{lines[key]}`")
            if (way := self.ways.get(place)) and (key := way if way in lines else "features") in lines
            else problem
            for place, problem in enumerate(self.problems)
        ]
        later = list[Problem]()
        if update:
            try:
                read(source.model_copy(update=update))
            except ForgeError as error:
                later = [problem for problem in error.problems if settings([problem])]
        whole = together([*shown, *later])
        known = {problem.key for problem in shown}
        first = [*whole[: len(shown)][:MAX_SHOWN], *more]
        return [*first, *(problem for problem in whole[len(shown) :] if problem.key not in known)]

    def _update(self, source: Columns, names: tuple[str, ...]) -> dict[str, Any]:
        """The fields that differ in a section that reads the table."""
        update = dict[str, Any]()
        fixes = {key: {**values} for key, values in self.fixes.items()}
        fill = fixes.get("impute", {})
        for name in {*fixes.get("categorical", ()), *fixes.get("dates", ())} & {*fill}:
            fill[name] = "most_frequent"  # a median is of numbers
        for name in {*fixes.get("ignore", ())} & {*fill}:
            del fill[name]
        for key, values in fixes.items():
            before = getattr(source, key)
            if not values:
                continue
            if key == "decimal":
                update[key] = ","
            elif key == "impute" and (ways := _for_all(before, values)):
                update[key] = ways[0] if len(ways) == 1 else ways
            elif key in ("categorical", "ignore"):
                update[key] = (*before, *values)
            else:
                update[key] = FrozenDict({**(before if isinstance(before, Mapping) else {}), **values})
        if "ignore" in update:
            kept = tuple(name for name in names if name not in self.fixes["ignore"])
            if not kept or source.features is not None:
                del update["ignore"]
            if kept and source.features is not None:
                update["features"] = kept
        return update


def _for_all(before: Fill | tuple[Fill, ...] | Mapping[str, Fill], values: Mapping[str, Fill]) -> tuple[Fill, ...]:
    """What `impute` says for all columns, where it did so before, or has to be said for many; else nothing."""
    if isinstance(before, Mapping) or (before == "error" and len(values) <= MAX_NAMED):
        return ()
    said = before if isinstance(before, tuple) else (before,)
    ways = (*said, *sorted({*values.values()}, key=str))  # `median` in front of `most_frequent`
    return tuple(dict.fromkeys(way for way in ways if way != "error"))


def way_out(source: Columns, feature: Feature, column: pa.ChunkedArray, values: Values) -> tuple[Any, ...]:
    """The field with which a column that holds no numbers can be read, its name and what the field says of it."""
    if feature.kind != "number" or 2 * len(values.wrong) < len(column) - len(values.missing):
        return ()
    there = pc.drop_null(present(column, source.missing))
    if form := _date_format(there):
        return "dates", feature.name, form
    if _has_decimal_commas(source, there):
        return "decimal", feature.name
    if is_text(there) and 1 < len(pc.unique(there)) <= min(MAX_CATEGORIES, len(there) // 2):
        return "categorical", feature.name
    return "ignore", feature.name


def _date_format(column: pa.ChunkedArray) -> str:
    """The only one of `FORMATS` that all dates of a column have, or nothing; dates that are not texts have none."""
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return ISO
    first = column[:MAX_SHOWN]
    likely = [form for form in FORMATS if not len(instants(first, (), form).wrong)]
    fitting = [form for form in likely if not len(instants(column, (), form).wrong)]
    return fitting[0] if len(fitting) == 1 else ""


def _has_decimal_commas(source: Columns, column: pa.ChunkedArray) -> bool:
    """Whether all texts are numbers with a decimal comma; with three digits after each, it may divide thousands."""
    if source.decimal_sign != "." or "decimal" not in type(source).model_fields or not is_text(column):
        return False
    fractions = pc.match_substring_regex(column, r",(\d{1,2}|\d{4,})\s*$")
    return pc.any(fractions).as_py() and not len(numbers(column, (), ",").wrong)
