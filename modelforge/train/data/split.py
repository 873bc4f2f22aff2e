"""split: a number of examples → the indices of three disjoint parts, every class in each by its share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelforge.errors import ForgeError, Problem
from modelforge.report.words import plural
from modelforge.train.data.parts import Array, Rows
from modelforge.train.data.refusals import fault
from modelforge.train.data.source import SplitSource


def split(source: SplitSource, size: int, labels: Array | None = None, *, at_least: int = 1) -> tuple[Rows, Rows, Rows]:
    """A function of `(split_seed, size, labels)`; a class that is too small for its share is missing somewhere.

    Args:
        source: Says how large the parts are.
        size: Number of examples.
        labels: The class of each, where there are classes.
        at_least: What each part must hold.

    Raises:
        ForgeError: a part would hold less than that.
    """
    if problems := list(_too_small(source, size, at_least)):
        raise ForgeError(problems)
    order = np.random.default_rng(source.split_seed).permutation(size)
    if labels is not None:
        order = order[np.argsort(_places(labels[order]), kind="stable")]
        # Each class is spread evenly over the order; a stride takes its share of each wherever it begins.
    _, num_val, num_test = source.num_examples(size)
    held_out = _spread(size, num_val + num_test)
    tested = np.zeros(size, bool)
    tested[held_out[_spread(len(held_out), num_test)]] = True
    kept = np.zeros(size, bool)
    kept[held_out] = True
    return np.sort(order[~kept]), np.sort(order[kept & ~tested]), np.sort(order[tested])


def _places(labels: Array) -> Array:
    """For each example, in the order given: how far through its class it comes, from 0 to 1."""
    places = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        places[members] = (np.arange(len(members)) + 0.5) / len(members)
    return places


def _spread(size: int, number: int) -> Rows:
    """`number` of `size` places at even distances."""
    return (np.arange(number) * 2 + 1) * size // (2 * number)


def _too_small(source: SplitSource, size: int, at_least: int) -> Iterator[Problem]:
    num_train, num_val, num_test = source.num_examples(size)
    of = f"of {plural(size, 'example')}"
    for key, number in (("val_fraction", num_val), ("test_fraction", num_test)):
        if number < at_least:
            needed = f"its part needs {at_least}"
            message = f"`{key}` = {getattr(source, key):g} takes {number} {of}, and {needed}"
            yield fault(key, message, f"write a larger `data.{key}=...`, or bring more examples")
    if num_train < at_least:
        yield fault(
            "val_fraction",
            f"`val_fraction` and `test_fraction` leave {max(num_train, 0)} {of} to train on, of {at_least} at least",
            "write smaller ones, or bring more examples",
        )
