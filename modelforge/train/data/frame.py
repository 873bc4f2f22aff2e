"""A table of named columns → examples, and new rows → the same arrays, as `Columns` declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import listed
from modelforge.train.data.alike import look_alikes
from modelforge.train.data.arrow import NO_ROWS, Values, as_numpy, columns_of, is_text, numbers, pc, present
from modelforge.train.data.columns import MAX_SHOWN, Columns
from modelforge.train.data.features import Feature, fitted, problems
from modelforge.train.data.findings import MAX_PROPOSED, Findings, way_out
from modelforge.train.data.labels import Coded, Labels
from modelforge.train.data.numbering import numberings
from modelforge.train.data.parts import Array, Arrays, Examples, Rows
from modelforge.train.data.refusals import fault, refusal, setting, undeclared
from modelforge.train.data.scale import Numbers, Scale, Scaled, scaled, side_by_side
from modelforge.train.data.sheet import Sheet, splitting
from modelforge.train.data.split import split
from modelforge.train.data.store import MEMORY, Memory
from modelforge.train.data.table import assembled, checked, encoded, labels_of
from modelforge.train.data.unseen import unseen

BLOCK = 500_000
"""Numbers that are scaled at once."""


def read_examples(source: Columns, sheet: Sheet, store: Memory = MEMORY) -> Examples:
    """The examples of a table.

    Args:
        source: What was declared.
        sheet: The table.
        store: Where its columns are to lie once they are read, and the examples.

    Raises:
        ForgeError: the table is not what the section declares. Where fields of it would help, all of them are named.
    """
    names = source.chosen([*sheet.columns], sheet.named)
    if not names:
        key = "target" if source.features is None else "features"
        raise refusal(key, f"no column of {sheet.named} is left to predict from", "name one that is not the target")
    if not len(sheet):
        raise refusal("path", f"{sheet.named} has no rows")
    features = [_declared(source, name) for name in names]
    found = Findings()
    values = [_put_in(store, _read(sheet, feature, source, found)) for feature in features]
    targets, bare = _targets(source, sheet, found)
    arguments, unsplit = splitting(source, sheet, found)
    labels, wrong = labels_of(source, targets, sheet.named) if not found.problems else (None, [])
    equal = _look_alikes(source, sheet, targets)
    if found.problems:
        shown = found.with_ways_out(source, names, lambda other: read_examples(other, sheet, store))
        raise ForgeError([*shown, *equal])
    kept = _remaining(source, features, values, np.union1d(bare, unsplit), len(sheet))
    if not len(kept):
        raise refusal("impute", f"no row of {sheet.named} is left: each lacks a value", "fill some in")
    classes = labels.classes[kept] if labels and not wrong else None
    given = {name: array[kept] for name, array in arguments.items()}
    least = source.task.min_examples(source)
    parts = [kept[part] for part in split(source, len(kept), classes, at_least=least, **given)]
    fits = [
        fitted(feature, one.values, parts[0], source.fill(feature.name))
        for feature, one in zip(features, values, strict=True)
    ]
    strange = [*unseen(source, fits, values, parts, sheet)]
    warnings = checked([*_unfit(source, fits, sheet.named), *wrong, *strange, *equal, *_alike_categories(fits)])
    of_numbers = {fit.name: one for fit, one in zip(fits, values, strict=True) if fit.kind == "number"}
    warnings += numberings(source, of_numbers, sheet)
    inputs, lost = _blocks(source, sheet, fits, values, parts, store)
    answers: Labels | Scaled | None = labels
    if isinstance(targets, Numbers):
        answers, more = scaled(targets, parts, standardize=source.scales_targets)
        lost += more
    checked(lost)
    extra = {"columns": [fit.described() for fit in fits], "rows": sheet.own_rows(parts)}
    ids = _ids(fits, values)
    return assembled(source, inputs, answers, parts, sheet.named, warnings, ids=ids, fitted=extra)


def encode_rows(source: Columns, table: pa.Table, kept: Mapping[str, Any], *, labelled: bool = False) -> Arrays:
    """New rows as the model takes them, by what training kept; see `Source.encode`.

    Raises:
        ForgeError: a column is missing, or holds what its column did not hold in training.
    """
    columns = columns_of(table, "the data")
    fits = [Feature.restored(described) for described in kept["columns"]]
    due = [fit.name for fit in fits] + ([*source.target] if labelled and source.target_kind != "input" else [])
    if lacking := [name for name in due if name not in columns]:
        hint = source.described([*columns])
        shown = listed(lacking, MAX_SHOWN, quote="`")
        raise refusal("path", f"the data has no {'column' if len(lacking) == 1 else 'columns'} {shown}", hint)
    if not len(table):
        raise refusal("path", "the data has no rows", "give at least one")
    sheet = Sheet(columns, (("the data", len(table), 0),))
    found = Findings()
    values = [_read(sheet, fit, source, found, training=False, drops=labelled) for fit in fits]
    targets, bare = _targets(source, sheet, found) if labelled else (None, NO_ROWS)
    rows = _remaining(source, fits, values, bare, len(table)) if labelled else np.arange(len(table))
    warnings = checked([*found.problems, *unseen(source, fits, values, [NO_ROWS, rows], sheet, training=False)])
    if not len(rows):
        raise refusal("path", "no row of the data is left: each lacks a value", "fill some in")
    blocks = [fit.numbers(one.values) for fit, one in zip(fits, values, strict=True) if fit.kind != "ids"]
    features = np.concatenate(blocks, axis=1)
    left_out = np.setdiff1d(np.arange(len(table)), rows)
    features[left_out] = features[rows[0]]  # their values are not looked at, and those of others keep their places
    if isinstance(targets, Numbers):
        targets.values[left_out] = targets.values[rows[0]]
    elif targets is not None:
        targets.places[left_out] = targets.places[rows[0]]
    answers = targets.values if isinstance(targets, Numbers) else targets
    if labelled and source.target_kind == "input":
        answers = features
    arrays = encoded(features, answers, kept, "the data", _ids(fits, values))
    if len(left_out):
        said = f"{sheet.rows(left_out)} of the data {'is' if len(left_out) == 1 else 'are'} left out"
        warnings.append(Problem("MW201", "", f"{said}, as such rows were in training: there are values missing"))
        arrays = Arrays(*arrays.batch(rows))
    return replace(arrays, warnings=tuple(warnings))


def _declared(source: Columns, name: str) -> Feature:
    """A column as the section declares it."""
    match source.kind(name):
        case "date":
            return Feature(name, "date", format=source.dates[name], parts=source.date_parts)
        case kind:
            return Feature(name, kind)


def _read(
    sheet: Sheet, feature: Feature, source: Columns, findings: Findings, *, training: bool = True, drops: bool = True
) -> Values:
    """The values of a column; what is wrong with them is added to the findings. Rows may be dropped, or may not."""
    column = sheet.columns[feature.name]
    values = feature.read(column, source.missing, source.decimal_sign)
    for problem in problems(feature, values, column, "features", sheet.place):
        proposes = training and len(findings.problems) <= MAX_PROPOSED
        findings.add(problem, *(way_out(source, feature, column, values) if proposes else ()))
    fill = source.fill(feature.name)
    allowed = (fill != "error" if training else feature.fill is not None) if fill != "drop" else drops
    if len(values.missing) and not allowed and feature.kind != "ids":
        message = f"column `{feature.name}` has no value in {sheet.rows(values.missing)}"
        way = "median" if feature.kind == "number" else "most_frequent"
        if training and len(values.missing) == len(column) and feature.kind == "number":
            findings.add(fault("features", message, "leave it out"), "ignore", feature.name)
        elif training:
            findings.add(fault("features", message, "fill it in, or leave the row out"), "impute", feature.name, way)
        elif fill == "drop":
            findings.add(fault("features", message, "leave the row out, as training did (`impute`), or fill it in"))
        else:
            findings.add(fault("features", message, "fill it in: in training, all rows had a value"))
    return values


def _put_in(store: Memory, values: Values) -> Values:
    return replace(values, held=store.put(values.held))


def _look_alikes(source: Columns, sheet: Sheet, targets: Coded | Numbers | None) -> list[Problem]:
    """Warnings about names of columns, of groups and of classes that look equal."""
    warnings = [*look_alikes([*sheet.columns], "columns", sheet.named, "path")]
    if source.group and is_text(column := sheet.columns[source.group]):
        groups = sorted(name for name in pc.unique(column).to_pylist() if name is not None)
        warnings += look_alikes(groups, "groups", sheet.named, "group")
    if isinstance(targets, Coded):
        classes = sorted(name for name in targets.distinct if isinstance(name, str))
        warnings += look_alikes(classes, "classes", sheet.named, "target")
    return warnings


def _alike_categories(fits: Sequence[Feature]) -> Iterator[Problem]:
    """Warnings about categories of a column that look equal."""
    for fit in fits:
        key = {"category": "categorical", "ids": "embed"}.get(fit.kind)
        if key is not None:
            yield from look_alikes(fit.categories, "categories", f"column `{fit.name}`", key)


def _refuse_bare(source: Columns, name: str, sheet: Sheet, bare: Rows, findings: Findings) -> None:
    """Adds the problem of rows without a target."""
    message = f"column `{name}` has no {'class' if source.target_kind == 'class' else 'value'} in {sheet.rows(bare)}"
    hint = f"leave such rows out: `{setting('impute', {name: 'drop'})}`"
    column = sheet.columns[name]
    text = column[int(bare[0])].as_py() if is_text(column) else None
    if source.target_kind == "class" and text is not None and text.strip():
        message += f": it has {text!r}"
        hint += """; if it is the name of a class: `'data.missing=[""]'`"""
    findings.add(fault("target", message, hint))


def _remaining(source: Columns, features: Sequence[Feature], values: Sequence[Values], bare: Rows, size: int) -> Rows:
    """The rows that are not to be dropped."""
    kept = np.ones(size, bool)
    kept[bare] = False
    for feature, one in zip(features, values, strict=True):
        if source.fill(feature.name) == "drop":
            kept[one.missing] = False
    return np.flatnonzero(kept)


def _unfit(source: Columns, fits: Sequence[Feature], named: str) -> Iterator[Problem]:
    """The problems of numbers of features and of ids that are not as declared."""
    number = sum(len(fit.names) for fit in fits if fit.kind != "ids")
    if not number:
        message = f"{named} has no column beside those of `embed`, but the first input of the model is of others"
        yield fault("embed", message, "name one of them in `categorical` in place of `embed`")
    elif number != source.num_features:
        yield undeclared("num_features", "feature", number, source.num_features, named)
    for fit in fits:
        needed = len(fit.categories) + 1
        if fit.kind == "ids" and needed > source.embed[fit.name]:
            message = f"column `{fit.name}` takes {needed:,} ids: 0, and one for each category to train on"
            hint = f"write `{setting('embed', {**source.embed, fit.name: needed})}`"
            yield fault("embed", f"{message}; but `embed.{fit.name}` is {source.embed[fit.name]:,}", hint)


def _blocks(
    source: Columns,
    sheet: Sheet,
    fits: Sequence[Feature],
    values: Sequence[Values],
    parts: Sequence[Rows],
    store: Memory,
) -> tuple[Scaled, list[Problem]]:
    """All features side by side, a few columns at once; categories are not scaled."""
    done, lost = list[Scaled](), list[Problem]()
    waiting, names = list[Array](), list[str]()

    def scale_waiting(*, one_hot: bool = False) -> None:
        block = waiting[0] if len(waiting) == 1 else np.concatenate(waiting, axis=1)
        standardize = source.standardize and not one_hot
        found, more = scaled(Numbers(block, tuple(names), place=sheet.place), parts, standardize=standardize)
        as_it_is = Scale.identity((len(names),)) if source.standardize and one_hot else found.scale
        done.append(replace(found, scale=as_it_is, parts=tuple(map(store.put, found.parts))))
        lost.extend(more)
        waiting.clear()
        names.clear()

    for fit, one in zip(fits, values, strict=True):
        if fit.kind == "ids":
            continue
        one_hot = fit.kind == "category"
        if waiting and (one_hot or len(names) * len(sheet) > BLOCK):
            scale_waiting()
        waiting.append(fit.numbers(one.values))
        names += fit.names
        if one_hot:
            scale_waiting(one_hot=True)
    if waiting:
        scale_waiting()
    return side_by_side(done, store), lost


def _ids(fits: Sequence[Feature], values: Sequence[Values]) -> Array | None:
    """The ids of the columns for embeddings, side by side; None where there are none."""
    found = [fit.places(one.values) + 1 for fit, one in zip(fits, values, strict=True) if fit.kind == "ids"]
    return np.stack(found, axis=1) if found else None


def _targets(source: Columns, sheet: Sheet, findings: Findings) -> tuple[Coded | Numbers | None, Rows]:
    """The targets, and the rows to leave out since they have none."""
    if source.target_kind == "input":
        return None, NO_ROWS
    columns = {name: sheet.columns[name] for name in source.target}
    missing = dict[str, Rows]()
    if source.target_kind == "class":
        ((name, column),) = columns.items()
        target, missing[name] = _labels(present(column, source.missing))
    else:
        read = {name: numbers(column, source.missing, source.decimal_sign) for name, column in columns.items()}
        missing = {name: values.missing for name, values in read.items()}
        for name, values in read.items():
            for problem in problems(Feature(name), values, columns[name], "target", sheet.place):
                findings.add(problem)
        target = Numbers(np.stack([one.values for one in read.values()], 1), source.target, "target", sheet.place)
    for name, rows in missing.items():
        if len(rows) and source.fill(name) != "drop":
            _refuse_bare(source, name, sheet, rows, findings)
    return target, np.unique(np.concatenate([*missing.values()]))


def _labels(column: pa.ChunkedArray) -> tuple[Coded, Rows]:
    """The labels of a column, and the rows that have none."""
    kind = column.type
    nothing = np.flatnonzero(as_numpy(pc.is_null(column)))
    if not (is_text(column) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        coded = Coded.of(column.to_pylist())
        there = [place for place, value in enumerate(coded.distinct) if value is not None]
        new = np.full(len(coded.distinct) + 1, -1)
        new[there] = range(len(there))
        kept = ([them[place] for place in there] for them in (coded.distinct, coded.first_rows))
        return Coded(new[coded.places], *kept), nothing
    encoded = pc.dictionary_encode(column.combine_chunks())
    places = as_numpy(encoded.indices, -1).astype(np.int64)
    distinct = encoded.dictionary.to_pylist()
    first = np.zeros(len(distinct) + 1, np.int64)
    first[places[::-1]] = np.arange(len(places))[::-1]  # of rows with one place, the first is written last
    return Coded(places, distinct, first[:-1].tolist()), nothing
