"""`Table`: sources of numbers with a target beside them, once they lie in arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from pydantic import PositiveInt, ValidationError

from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.words import plural
from modelforge.train.data.alike import look_alikes
from modelforge.train.data.declared import as_array, as_targets
from modelforge.train.data.labels import Given, Labels, among, encode
from modelforge.train.data.parts import Array, Arrays, Examples, Rows
from modelforge.train.data.refusals import fault, refusal, together, undeclared
from modelforge.train.data.scale import Numbers, Scale, Scaled, as_float32, constant, is_constant, scaled
from modelforge.train.data.source import SplitSource, check, check_float32, new_data
from modelforge.train.data.split import PARTS, missing, missing_labels, split


class Table(SplitSource):
    """Numeric features, with a class, other numbers or themselves as the target."""

    target_kinds: ClassVar = ("class", "labels", "number", "input")

    num_classes: PositiveInt | None = None
    """Another name of `num_outputs`, for models that ask for it."""
    standardize: bool = True
    """Give every feature, and every target of a regression, mean 0 and standard deviation 1 over the training part."""

    @check
    def _check_dtype(self) -> Iterator[ValidationError]:
        yield from check_float32(self.input, "a table holds numbers")

    @property
    def scales_targets(self) -> bool:
        """Whether targets are standardised; labels are 0 and 1."""
        return self.standardize and self.target_kind == "number"


def examples(
    source: Table, inputs: Numbers, targets: Given | Numbers | None, named: str, found: Iterable[Problem] = ()
) -> Examples:
    """Splits, encodes and scales arrays.

    Args:
        source: What was declared.
        inputs: The features.
        targets: A label, or `Numbers`, for each; None for an autoencoder.
        named: The data, in words.
        found: Problems and warnings so far.

    Raises:
        ForgeError: the data is not as declared, or too little.
    """
    labels, problems = labels_of(source, targets, named)
    warnings = checked([*found, *problems, *(look_alikes(labels.names, "classes", named, "target") if labels else ())])
    parts = split(source, len(inputs.values), labels and labels.classes, at_least=source.task.min_examples(source))
    features, lost = scaled(inputs, parts, standardize=source.standardize)
    answers: Labels | Scaled | None = labels
    if isinstance(targets, Numbers):
        answers, more = scaled(targets, parts, standardize=source.scales_targets)
        lost += more
    checked(lost)
    return assembled(source, features, answers, parts, named, warnings)


def assembled(
    source: Table,
    inputs: Scaled,
    targets: Labels | Scaled | None,
    parts: Sequence[Rows],
    named: str,
    warnings: Iterable[Problem],
    *,
    ids: Array | None = None,
    fitted: Mapping[str, Any] | None = None,
) -> Examples:
    """The examples of numbers that were split and scaled, and all that was fitted.

    Args:
        source: What was declared.
        inputs: The features.
        targets: What is to be predicted; None for the features themselves.
        parts: The rows of the parts.
        named: The data, in words.
        warnings: What the user should know.
        ids: A second input of the model, one row for each row of the data.
        fitted: What else was fitted.
    """
    rows = dict(zip(PARTS, parts, strict=True))
    kept: dict[str, Any] = {"inputs": inputs.described(), "rows": rows, **(fitted or {})}
    found = [*warnings, *constant(inputs, named)]
    answers = inputs.parts
    if isinstance(targets, Labels):
        kept["classes"] = targets.names
        answers = tuple(targets.classes[part] for part in parts)
        found += missing(targets.classes, parts, targets.names, named)
    elif targets is not None:
        kept |= {"labels": targets.names} if source.target_kind == "labels" else {"targets": targets.described()}
        answers = targets.parts
        found += constant(targets, named)
        if source.target_kind == "labels":
            names = range(source.num_outputs) if isinstance(targets.names, str) else targets.names
            found += missing_labels(targets.parts, names, named)
    both = [array if ids is None else (array, ids[part]) for array, part in zip(inputs.parts, parts, strict=True)]
    return replace(Examples.of(map(Arrays, both, answers), found, kept), places={"row": kept["rows"]["test"] + 1})


def encoded(
    inputs: Array, targets: Given | Array | None, fitted: Mapping[str, Any], named: str, ids: Array | None = None
) -> Arrays:
    """New numbers as the model takes them, by what was fitted.

    Args:
        inputs: The features.
        targets: Labels or numbers; None where they are not known.
        fitted: What training kept.
        named: The data, in words.
        ids: The second input of the model, if it has one.

    Raises:
        ForgeError: a label is not among the known classes.
    """
    features = _finite(inputs, fitted["inputs"], "features", named)
    if targets is None:
        answers = np.zeros(len(features), np.int64)
    elif "classes" in fitted:
        answers, problems = among(targets, fitted["classes"], named)
        checked(problems)
    elif "targets" in fitted or "labels" in fitted:
        scale = fitted.get("targets") or {"names": fitted.get("labels"), "mean": None}
        numbers = np.asarray(targets)
        answers = _finite(numbers.reshape(len(numbers), -1), scale, "target", named)
    else:
        answers = features
    return Arrays(features if ids is None else (features, ids), answers)


def _finite(values: Array, kept: Mapping[str, Any], key: str, named: str) -> Array:
    """New numbers on the scale that was kept.

    Raises:
        ForgeError: one is more than float32 holds.
    """
    found = as_float32(values, Scale.restored(kept))
    if not np.isfinite(found).all():
        row, *place = np.argwhere(~np.isfinite(found))[0]
        numbers = Numbers(values, kept["names"], key)
        message = (
            f"{numbers.called(place[-1] if place else 0)} of {named} has {values[(row, *place)]:g} in row {row + 1}"
        )
        raise refusal(key, f"{message}, which is more than float32 holds on the scale of the training part")
    return found


def checked(problems: Iterable[Problem]) -> list[Problem]:
    """The warnings among problems.

    Raises:
        ForgeError: not all are.
    """
    problems = list(problems)
    warnings = [problem for problem in problems if problem.severity == "warning"]
    if len(warnings) < len(problems):
        raise ForgeError(together(problems))
    return warnings


def labels_of(source: Table, targets: Given | Numbers | None, named: str) -> tuple[Labels | None, list[Problem]]:
    """The classes, if the targets are classes, and problems of the targets."""
    if source.target_kind == "input":
        return None, []
    if targets is None:
        message = f"{source.task.type} needs a target, but `target` is null"
        return None, [fault("target", message, "write `data.target=...`")]
    if not isinstance(targets, Numbers):
        return encode(targets, source.num_outputs, named)
    number = targets.values.shape[1]
    if number != source.num_outputs:
        unit = "label" if source.target_kind == "labels" else "target"
        return None, [undeclared("num_outputs", unit, number, source.num_outputs, named)]
    if source.target_kind == "labels":
        return None, [*_not_labels(targets, named)]
    fixed = np.flatnonzero(is_constant(targets.values.astype(np.float64)))
    if len(targets.values) > 1 and len(fixed):
        message = f"{targets.called(fixed[0])} of {named} has one value: there is nothing to predict"
        return None, [fault("target", message, "leave it out")]
    return None, []


def _not_labels(targets: Numbers, named: str) -> Iterator[Problem]:
    """The first value of each label that is neither 0 nor 1; a missing one is another problem."""
    wrong = ~np.isin(targets.values, (0, 1)) & ~np.isnan(targets.values.astype(np.float64))
    for place in np.flatnonzero(wrong.any(0)):
        row = int(np.argmax(wrong[:, place]))
        message = f"a label is 0 or 1, but {targets.called(int(place))} of {named} has {targets.values[row, place]:g}"
        yield fault("target", f"{message} in {targets.place(row)}", "for numbers: `data.task=regression`")


def encoded_arrays(source: Table, raw: Any, fitted: Mapping[str, Any], names: tuple[str, str | None]) -> Arrays:
    """New arrays as the model takes them.

    Args:
        source: What was declared.
        raw: The array of inputs, or a mapping of arrays; a mapping of one array may call it as it likes; with targets a
            pair, or a mapping that has both.
        fitted: What training kept.
        names: What the mapping calls the inputs and the targets; None for no targets.

    Raises:
        ForgeError: an array is missing, has another shape, or is not of finite numbers.
    """
    inputs, target = names
    given = _by_name(source, raw, names)
    array = _inputs(given[inputs], inputs, source)
    answers = None if target is None else array if source.target_kind == "input" else _answers(given[target], source)
    if answers is not None and answers.shape[:1] != array.shape[:1]:
        raise new_data(f"the new data has {plural(len(array), 'example')}, but targets of shape {answers.shape}")
    try:
        return encoded(array, answers, fitted, "the new data")
    except ForgeError as error:
        raise ForgeError(replace(problem, code="MF150", key="") for problem in error.problems) from None


def _by_name(source: Table, raw: Any, names: tuple[str, str | None]) -> Mapping[str, Any]:
    """New arrays by name, with all that are needed."""
    inputs, target = names
    given = raw if isinstance(raw, Mapping) else {inputs: raw}
    if target is None and len(given) == 1:
        return {inputs: next(iter(given.values()))}
    if target is not None and isinstance(raw, tuple):
        if len(raw) != 2:
            raise new_data("new data with targets must be a pair of inputs and targets")
        given = {inputs: raw[0], target: raw[1]}
    due = (inputs,) if target is None or source.target_kind == "input" else (inputs, target)
    if lacking := [name for name in due if name not in given]:
        known = ", ".join(f"`{name}`" for name in given)
        raise new_data(f"the new data has no array `{lacking[0]}`", f"it has {known}")
    return given


def _inputs(given: Any, name: str, source: Table) -> Array:
    """New inputs: finite numbers of the shape that is declared."""
    try:
        array = as_array(given, f"`{name}`")
    except Refusal as error:
        raise new_data(str(error)) from None
    if not array.ndim or array.shape[1:] != source.input.shape:
        shape = ", ".join(["examples", *map(str, source.input.shape)])
        raise new_data(f"`{name}` of the new data has shape {array.shape}, but must have ({shape})")
    if array.dtype.kind not in "biuf":
        raise new_data(f"`{name}` of the new data must hold numbers, but holds {array.dtype}")
    wrong = np.argwhere(~np.isfinite(array.astype(np.float64)))
    if len(wrong):
        raise new_data(f"`{name}` of the new data has a value that is not finite in row {wrong[0][0] + 1}")
    return array


def _answers(given: Any, source: Table) -> Array:
    """New targets: classes of any kind, or finite numbers as many as are declared."""
    try:
        array = as_array(given, "the target")
        if source.target_kind != "class":
            return as_targets(array, source)
        if array.ndim != 1:
            raise Refusal(f"a class is one value, but the targets of the new data have shape {array.shape}")
        return array
    except Refusal as error:
        raise new_data(str(error)) from None
