"""Arrays as a section declares them: in its dtypes, without a loss; what is not so is refused with its first row."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from modelforge.core.errors import Refusal
from modelforge.core.quoting import sentence
from modelforge.train.data.parts import Array, TargetKind
from modelforge.train.tasks.task import Data, Task, first_wrong

TARGET_TYPES = {"class": np.int64, "token": np.int64, "labels": np.float32, "number": np.float32}
"""The dtype of targets by their kind."""


class Declaration(Data, Protocol):
    """What of a section decides its targets; see `Source`."""

    @property
    def target_kind(self) -> TargetKind: ...

    @property
    def task(self) -> Task: ...


def as_array(given: Any, name: str) -> Array:
    """A tensor, a list or an array as NumPy's.

    Raises:
        Refusal: it is ragged, or no array at all.
    """
    try:
        return np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
    except (ValueError, TypeError, OverflowError) as error:
        raise Refusal(f"{name} cannot be read as an array: {sentence(error)}") from None


def as_type(array: Array, dtype: Any, name: str) -> Array:
    """Numbers in a dtype.

    Example:
        >>> as_type(np.array([0.0, 2.0]), np.int64, "`input`")
        array([0, 2])

    Raises:
        Refusal: they are not numbers, not finite, or not whole where whole numbers are declared.
    """
    if array.dtype == dtype and array.dtype.kind != "f":
        return array
    if array.dtype.kind not in "biuf":
        raise Refusal(f"{name} must hold numbers, but holds {array.dtype}")
    whole = np.dtype(dtype).kind == "i"
    with np.errstate(over="ignore", invalid="ignore"):
        found = array.astype(dtype, copy=False)
        wrong = found != array if whole else ~np.isfinite(found)
    if wrong.any():
        row, what = first_wrong(array, wrong)
        must = "whole numbers" if whole else f"finite numbers of {np.dtype(dtype).name}"
        raise Refusal(f"{name} must hold {must}, but has {what:g} in {row}")
    return found


def as_input(given: Any, dtype: str, vocab_size: int | None, name: str) -> Array:
    """An input in the declared dtype; tokens lie below `vocab_size`, where the section has one.

    Raises:
        Refusal: it holds something else.
    """
    array = as_type(as_array(given, name), dtype, name)
    if dtype == "int64" and vocab_size is not None and (wrong := (array < 0) | (array >= vocab_size)).any():
        row, what = first_wrong(array, wrong)
        raise Refusal(f"{name} must hold tokens from 0 to {vocab_size - 1}, but has {what} in {row}")
    return array


def as_targets(given: Any, source: Declaration) -> Array:
    """Targets in the dtype of their kind, a column for a single number; the task takes them.

    Raises:
        Refusal: it does not.
    """
    kind, name = source.target_kind, "the target"
    array = as_array(given, name)
    if kind in TARGET_TYPES:
        array = as_type(array, TARGET_TYPES[kind], name)
    if kind in ("number", "labels") and array.ndim == 1 and source.num_outputs == 1:
        array = array[:, None]
    if reason := source.task.wrong_targets(array, source):
        raise Refusal(reason)
    return array
