"""A table of named columns → examples, and new rows → the same arrays, as a `ColumnSource` declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.train.data.alike import look_alikes
from modelforge.train.data.arrow import ISO, NO_ROWS, Values, column_of, instants, is_text, numbers, present, texts
from modelforge.train.data.features import Feature, fitted, problems
from modelforge.train.data.labels import Coded, Labels
from modelforge.train.data.parts import Array, Arrays, Examples, Rows
from modelforge.train.data.refusals import fault, refusal, setting, settings, undeclared
from modelforge.train.data.scale import Numbers, Scale, Scaled, scaled, side_by_side
from modelforge.train.data.split import PARTS, split
from modelforge.train.data.table import assembled, checked, encoded, labels_of

if TYPE_CHECKING:
    from modelforge.train.data.columns import ColumnSource

MAX_SHOWN = 20
"""Columns that have a problem each."""
MAX_CATEGORIES = 20
"""Different texts up to which a column of texts is proposed as one of categories."""
BLOCK = 1_000_000
"""Numbers that are scaled at once."""
PART_NAMES = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2}
"""The names of parts in a column of them, in small or large letters."""


def read_examples(source: ColumnSource, sheet: Sheet) -> Examples:
    """The examples of a table.

    Raises:
        ForgeError: the table is not what the section declares. Where fields of it would help, all of them are named.
    """
    features = source.chosen(sheet.table.column_names, sheet.named)
    if not len(sheet.table):
        raise refusal("path", f"{sheet.named} has no rows")
    found = Findings()
    values = [_read(sheet, feature, source, found) for feature in features]
    targets, bare = _targets(source, sheet, found)
    splitting = _splitting(source, sheet, found)
    if found.problems:
        raise ForgeError(_with_ways_out(source, sheet, found))
    kept = _kept(source, features, values, bare)
    warnings = list(look_alikes(sheet.table.column_names, "columns", sheet.named, "path"))
    labels, wrong = labels_of(source, targets, sheet.named)
    warnings += checked([*wrong, *(look_alikes(labels.names, "classes", sheet.named, "target") if labels else ())])
    classes = labels.classes[kept] if labels else None
    given = {name: array[kept] for name, array in splitting.items()}
    parts = [kept[part] for part in split(source, len(kept), classes, at_least=source.at_least, **given)]
    fits = [fitted(feature, one, parts[0], source.fill(feature)) for feature, one in zip(features, values, strict=True)]
    wrong = [*_unfit(source, fits, sheet.named), *_unseen(source, fits, values, parts, sheet.place)]
    inputs, lost = _blocks(source, sheet, [(fit, one) for fit, one in zip(fits, values, strict=True)], parts)
    answers: Labels | Scaled | None = labels
    if isinstance(targets, Numbers):
        answers, more = scaled(targets, parts, standardize=source.standardize)
        lost += more
    warnings += checked([*wrong, *lost])
    return assembled(
        inputs,
        answers,
        parts,
        sheet.named,
        warnings,
        ids=_ids(fits, values),
        fitted={"columns": [fit.described() for fit in fits], "rows": sheet.own_rows(parts)},
    )


def encode_rows(source: ColumnSource, table: pa.Table, kept: Mapping[str, Any], *, labelled: bool = False) -> Arrays:
    """New rows as the model takes them, by what training kept; see `Source.encode`.

    Raises:
        ForgeError: a column is missing, or holds what its column did not hold in training.
    """
    fits = [Feature.kept(described) for described in kept["columns"]]
    columns = [fit.name for fit in fits] + ([*source.target] if labelled and source.target_kind != "input" else [])
    lacking = [name for name in columns if name not in table.column_names]
    if lacking:
        hint = f"it has {listed(table.column_names, MAX_SHOWN, quote='`')}"
        shown = listed(lacking, MAX_SHOWN, quote="`")
        raise refusal("path", f"the data has no {'column' if len(lacking) == 1 else 'columns'} {shown}", hint)
    sheet = Sheet(table, (("the data", len(table), 0),))
    found = Findings()
    values = [_read(sheet, fit, source, found, training=False) for fit in fits]
    targets, bare = _targets(source, sheet, found) if labelled else (None, NO_ROWS)
    if len(bare):
        found.add(fault("target", f"the target has no value in {_rows(sheet, bare)}", "leave such rows out"))
    rows = np.arange(len(table))
    found.problems += _unseen(source, fits, values, [rows], sheet.place)
    checked(found.problems)
    blocks = [fit.numbers(one.values) for fit, one in zip(fits, values, strict=True) if fit.kind != "ids"]
    features = np.concatenate(blocks, axis=1)
    answers = targets.values if isinstance(targets, Numbers) else targets
    return encoded(features, answers, kept, "the data", _ids(fits, values))


def _read(sheet: Sheet, feature: Feature, source: ColumnSource, found: Findings, *, training: bool = True) -> Values:
    """The values of a column; what is wrong with them is added to the findings."""
    column = column_of(sheet.table, feature.name)
    values = feature.read(column, source.missing, source.decimal_sign)
    for problem in problems(feature, values, column, "features", sheet.place):
        found.add(problem, *(_way_out(source, feature, column, values) if training else ()))
    allowed = source.fill(feature) != "error" if training else feature.fill is not None
    if len(values.missing) and not allowed and feature.kind != "ids":
        message = f"column `{feature.name}` has no value in {_rows(sheet, values.missing)}"
        if training:
            found.add(
                fault("impute", message, "fill it in"),
                "impute",
                {feature.name: "median" if feature.kind == "number" else "most_frequent"},
            )
        else:
            found.add(fault("features", message, "fill it in, or leave the row out: training did without such rows"))
    return values


def _targets(source: ColumnSource, sheet: Sheet, found: Findings) -> tuple[Coded | Numbers | None, Rows]:
    """The targets, and the rows that have none."""
    if source.target_kind == "input":
        return None, NO_ROWS
    columns = {name: column_of(sheet.table, name) for name in source.target}
    if source.target_kind == "class":
        ((name, column),) = columns.items()
        target, bare = _labels(present(column, source.missing))
    else:
        read = {name: numbers(column, source.missing, source.decimal_sign) for name, column in columns.items()}
        for name, values in read.items():
            for problem in problems(Feature(name), values, columns[name], "target", sheet.place):
                found.add(problem)
        target = Numbers(np.stack([one.values for one in read.values()], 1), source.target, "target", sheet.place)
        bare = np.unique(np.concatenate([one.missing for one in read.values()]))
    return target, bare


def _labels(column: pa.ChunkedArray) -> tuple[Coded, Rows]:
    """The labels of a column, and the rows that have none."""
    kind = column.type
    nothing = np.flatnonzero(np.asarray(pc.is_null(column), bool))
    if not (is_text(column) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        coded = Coded.of(column.to_pylist())
        there = [place for place, value in enumerate(coded.distinct) if value is not None]
        new = np.full(len(coded.distinct) + 1, -1)
        new[there] = range(len(there))
        kept = ([them[place] for place in there] for them in (coded.distinct, coded.first_rows))
        return Coded(new[coded.places], *kept), nothing
    encoded = pc.dictionary_encode(column.combine_chunks())
    places = np.asarray(pc.fill_null(encoded.indices, -1), np.int64)
    distinct = encoded.dictionary.to_pylist()
    order, rows = np.unique(places, return_index=True)
    return Coded(places, distinct, [int(row) for place, row in zip(order, rows, strict=True) if place >= 0]), nothing


