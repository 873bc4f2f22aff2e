"""`Columns`: what a section declares about a table of named columns. Opens no file, and knows no pyarrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PositiveInt, ValidationError

from modelforge.core.complaints import Alternatives
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import AsTuple, FrozenDict
from modelforge.core.quoting import listed
from modelforge.core.suggestions import did_you_mean
from modelforge.train.data.alike import seen
from modelforge.train.data.refusals import fault
from modelforge.train.data.source import Bounded, InputSettings, check, mistake
from modelforge.train.data.table import Table

Kind = Literal["number", "category", "date", "ids"]
DatePart = Literal["year", "month", "day", "weekday", "yearday", "hour", "minute", "elapsed"]
Fill = int | float | str
MAX_SHOWN = 20
"""Columns that are named."""
ISO = "iso"
"""The name of the format of dates such as 2026-01-31 and 2026-01-31T12:00."""
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
"""How tables write a missing value."""
STATISTICS = ("mean", "median", "most_frequent")
WAYS = ("error", "drop", *STATISTICS)
"""What can be done about missing values, besides a constant."""


def _by_name(raw: Any) -> Any:
    """Pairs of a name and a value as a mapping: on the command line, Hydra takes few signs in a key."""
    pairs = isinstance(raw, list | tuple) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in raw)
    return {str(name): value for name, value in raw} if pairs and raw else raw


def _can_have(kind: str, way: Fill) -> bool:
    """Whether missing values of a kind of column can be treated in a way that is said for all columns."""
    match kind:
        case "number":
            return True
        case "date":
            return isinstance(way, str)
        case "category":
            return way in ("drop", "most_frequent")
        case _:
            return way == "drop"


def _formats(raw: Any) -> Any:
    """Names of columns with dates as a mapping to their formats."""
    raw = _by_name(raw)
    names = [raw] if isinstance(raw, str) else [] if raw is None else raw
    return dict.fromkeys(names, ISO) if isinstance(names, list | tuple) and _are_texts(names) else raw


def _are_texts(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda raw: (raw,) if isinstance(raw, str) else raw, json_schema_input_type=str | list[str]),
    AsTuple,
]

Pairs = list[Annotated[list[Any], Field(min_length=2, max_length=2)]]
Formats = dict[str, str] | list[str] | Pairs | str | None
Ids = Annotated[PositiveInt, Field(ge=2)]


class Columns(Bounded, Table):
    """Columns as features: numbers, dates and categories; and one or more columns as target."""

    reads: ClassVar = "path"
    part_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "val_fraction": ("val_path",),
        "test_fraction": ("test_path",),
    }
    """The fields that say where a part lies, by the share of the rows that it has otherwise."""

    path: str | None = None
    """The file, relative to the folder in which the run starts."""
    val_path: str | None = None
    """A file with the validation part; null to take it from `path`."""
    test_path: str | None = None
    """A file with the test part; null to take it from `path`."""
    target: Names = ()
    """The column, or for a regression the columns, to predict."""
    features: Names | None = None
    """The columns to predict it from; null for all others."""
    ignore: Names = ()
    """Columns that are neither."""
    missing: Names = MISSING
    """Texts that stand for no value, in small or large letters. For classes called None or NA: `[""]`."""
    impute: Annotated[
        Fill | FrozenDict[str, Annotated[Fill, Alternatives]] | Annotated[tuple[Fill, ...], AsTuple],
        Alternatives,
        BeforeValidator(_by_name, json_schema_input_type=Fill | dict[str, Fill] | list[Fill] | Pairs),
    ] = "error"
    """What becomes of missing values, for all columns or by name: `error`, `drop` (leave the row out), `mean`,
    `median`, `most_frequent` (over the training part), or a constant. Of a list each column takes the first that it
    can have: `[median, most_frequent]`."""
    categorical: Names = ()
    """Columns of categories: one feature, 0 or 1, for each category of the training part (one-hot)."""
    unseen: Literal["zeros", "error"] = "zeros"
    """What becomes of a category that the training part did not have: 0 in all its features (and id 0), or an error."""
    embed: Annotated[
        FrozenDict[str, Ids],
        BeforeValidator(
            lambda raw: {} if raw is None else _by_name(raw), json_schema_input_type=dict[str, Ids] | Pairs | None
        ),
    ] = FrozenDict()
    """Columns of categories as whole numbers for embeddings, each with the number of ids; 0 is a missing or new
    category. They are a second input of the model."""
    dates: Annotated[FrozenDict[str, str], BeforeValidator(_formats, json_schema_input_type=Formats)] = FrozenDict()
    """Columns of dates or times, each with its format, as in `%d.%m.%Y`; a list of names means ISO 8601."""
    date_parts: Annotated[tuple[DatePart, ...], AsTuple, Field(min_length=1)] = ("year", "month", "day", "elapsed")
    """The features of each date; `weekday` counts from 0 for Monday, `elapsed` is days since 1970."""
    split_column: str | None = None
    """A column that names the part of each row: train, val or test."""
    group: str | None = None
    """A column of groups, such as patients: the rows of each come into one part."""
    time: str | None = None
    """A column of dates or numbers: the latest rows are the test part, those before them the validation part."""
    on_disk: str | None = None
    """A folder for temporary files that hold the table, for tables larger than memory; null for memory."""
    num_features: PositiveInt
    """How many features there are, after categories and dates became several."""

    @property
    def inputs(self) -> Mapping[str, InputSettings]:
        ids = {"categories": InputSettings(shape=(len(self.embed),), dtype="int64")} if self.embed else {}
        return {"input": self.input, **ids}

    @property
    def decimal_sign(self) -> str:
        """The sign between the whole part and the fraction of a number that is written as text."""
        return "."

    @check
    def _check_columns(self) -> Iterator[ValidationError]:
        if self.input.shape != (self.num_features,):
            yield mistake("input.shape", f"a row has {self.num_features} features, but `shape` is {self.input.shape}")
        if self.target_kind == "class" and len(self.target) > 1:
            yield mistake("target", f"a class is one column, but `target` names {len(self.target)}")
        prefixes = ("target_", "probability_") if self.target_kind == "labels" else ("target_",)
        for first in self.target:
            for second in (f"{prefix}{first}" for prefix in prefixes):
                if second in self.target:
                    message = f"`{first}` and `{second}` cannot both be targets: predictions have a column `{second}`"
                    yield mistake("target", f"{message} for `{first}`", "rename one in the file")
        kinds = {"categorical": self.categorical, "embed": self.embed, "dates": self.dates}
        both = Counter(name for names in kinds.values() for name in {*names})
        if twice := [name for name, number in both.items() if number > 1]:
            keys = " and ".join(f"`{key}`" for key, names in kinds.items() if twice[0] in names)
            yield mistake(next(key for key, names in kinds.items() if twice[0] in names), f"{keys} name `{twice[0]}`")
        if len(ways := [key for key in ("split_column", "group", "time") if getattr(self, key)]) > 1:
            yield mistake(ways[1], f"rows can be split in one way only, but `{ways[0]}` and `{ways[1]}` are both set")
        if self.on_disk is not None and self.num_workers:
            yield mistake("num_workers", "`num_workers` must be 0 with `on_disk`: the training process reads the files")
        if self.embed and self.target_kind == "input":
            yield mistake("embed", "an autoencoder has one input: `categorical` makes numbers of categories")

    @check
    def _check_fills(self) -> Iterator[ValidationError]:
        if not isinstance(self.impute, FrozenDict):
            for way in self.impute if isinstance(self.impute, tuple) else (self.impute,):
                if isinstance(way, str) and way not in WAYS:
                    message = f"`impute` for all columns must be a number or {', '.join(WAYS)}, not {way!r}"
                    yield mistake("impute", message, did_you_mean(way, WAYS))
            return
        for name, fill in self.impute.items():
            if name in self.target and fill not in ("error", "drop"):
                message = f"a missing target is not filled in: `impute.{name}` must be error or drop"
                yield mistake(f"impute.{name}", message)
                continue
            kind = self.kind(name)
            if kind in ("category", "ids") and fill in ("mean", "median"):
                yield mistake(
                    f"impute.{name}",
                    f"`{name}` holds categories, which have no {fill}",
                    "use most_frequent, or a constant",
                )
            if kind == "number" and isinstance(fill, str) and fill not in WAYS:
                message = f"`impute.{name}` must be a number, {', '.join(WAYS[:-1])} or {WAYS[-1]}, but is {fill!r}"
                yield mistake(f"impute.{name}", message, did_you_mean(fill, WAYS))

    def without_effect(self) -> Iterator[tuple[str, str]]:
        if self.split_column:
            return
        given = {name: next(filter(self._is_set, keys), "") for name, keys in self.part_keys.items()}
        for name, key in given.items():
            if key and self._is_set(name):
                yield name, f"`{key}` gives that part"
        if self._is_set("split_seed") and (self.time or all(given.values())):
            yield "split_seed", "`time` decides on the parts" if self.time else "there is nothing to split"

    def _is_set(self, name: str) -> bool:
        return getattr(self, name) != type(self).model_fields[name].default

    def kind(self, name: str) -> Kind:
        """What a column holds."""
        if name in self.categorical:
            return "category"
        return "ids" if name in self.embed else "date" if name in self.dates else "number"

    def fill(self, name: str) -> Fill:
        """What becomes of missing values of a column. Of what is said for all columns, each takes what it can."""
        if isinstance(self.impute, FrozenDict):
            return self.impute.get(name, "error")
        kind = "target" if name in self.target else self.kind(name)
        ways = self.impute if isinstance(self.impute, tuple) else (self.impute,)
        return next((way for way in ways if _can_have(kind, way)), "error")

    def chosen(self, columns: Sequence[str], named: str) -> tuple[str, ...]:
        """The names of the columns to predict from, after all names are checked.

        Args:
            columns: Those that there are.
            named: The data, in words.

        Raises:
            ForgeError: a name is not among them, or has two meanings.
        """
        problems = list(self._wrong_names(columns, named))
        if problems:
            raise ForgeError(problems)
        return self.features if self.features is not None else self.others(columns)

    def others(self, columns: Sequence[str]) -> tuple[str, ...]:
        """The columns without another use, and those of dates and categories."""
        used = {*self.target, *self.ignore, self.split_column, self.group, self.time}
        used -= {*self.categorical, *self.embed, *self.dates}
        return tuple(name for name in columns if name not in used)

    def described(self, columns: Sequence[str]) -> str:
        """The names of the columns of new data, in words."""
        return f"it has {listed(columns, MAX_SHOWN, quote='`')}"

    def _names(self) -> dict[str, Sequence[str]]:
        """The names of columns under each key."""
        alone = {key: [name] for key in ("split_column", "group", "time") if (name := getattr(self, key))}
        several = ("target", "features", "ignore", "categorical", "embed", "dates")
        lists = {key: [*(getattr(self, key) or ())] for key in several}
        return {**lists, **alone, "impute": [*self.impute] if isinstance(self.impute, FrozenDict) else []}

    def _wrong_names(self, columns: Sequence[str], named: str) -> list[Problem]:
        keys = self._names()
        known = {*columns}
        problems = [
            _unknown(key, name, columns, named) for key, names in keys.items() for name in names if name not in known
        ]
        if not self.target and self.target_kind != "input":
            message = f"{self.task.type} needs a target, but `target` names no column"
            problems.append(fault("target", message, did_you_mean("", columns)))
        kinds = ("features", "categorical", "embed", "dates", "split_column")
        for key in kinds:
            if both := [name for name in keys.get(key, ()) if name in self.target]:
                what = "a feature" if key == "features" else f"in `{key}`"
                problems.append(fault(key, f"`{both[0]}` is the target, and cannot be {what}"))
        for key, names in keys.items():
            if twice := [name for name, number in Counter(names).items() if number > 1]:
                problems.append(fault(key, f"`{key}` names `{twice[0]}` twice", "once is enough"))
        used = {*self.target, *(self.features or ()), *self.categorical, *self.embed, *self.dates}
        if both := [name for name in self.ignore if name in used]:
            problems.append(fault("ignore", f"`{both[0]}` is to be ignored, and is a feature or the target"))
        if self.features is not None:
            for key in ("categorical", "embed", "dates"):
                if lost := [name for name in keys[key] if name not in self.features and name not in self.target]:
                    problems.append(fault(key, f"`{lost[0]}` is not among the `features`", "name it there as well"))
        return problems


def _unknown(key: str, name: str, columns: Sequence[str], named: str) -> Problem:
    """The problem of a name that no column has; where one looks equal, both are shown with all their characters."""
    twin = next((column for column in columns if seen(column) == seen(name)), None)
    if twin is None:
        return fault(key, f"{named} has no column `{name}`", did_you_mean(name, columns))
    message = f"{named} has no column {name!a}; its column {twin!a} looks equal, but is not"
    return fault(key, message, "copy the name from the file, or write it in the file as here")
